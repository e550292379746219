//! `outlay prices diff` and `outlay prices import`: what public catalogues would change, and the
//! change itself. No store and no server is needed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use catalogues::{Proposal, Source};
use domain::Clock as _;
use jiff::civil::Date;
use prices::{Catalogue, form::SellerForm};

use crate::{
    cli::{PricesImportArgs, PricesSourcesArgs},
    clock::SystemClock,
    config::Config,
    output::say,
    price_files::toml_files,
};

/// Shows what an import would change.
pub(crate) fn diff(config: &Config, args: &PricesSourcesArgs) -> Result<()> {
    show(&propose(config, args)?, args);
    Ok(())
}

/// Shows what changes, asks, and writes.
pub(crate) fn import(config: &Config, args: &PricesImportArgs) -> Result<()> {
    let folder = folder(config, &args.sources);
    let proposal = propose(config, &args.sources)?;
    show(&proposal, &args.sources);
    if proposal.changes_nothing() {
        say("Nothing is written: the catalogue is up to date.");
        return Ok(());
    }
    let files: BTreeMap<String, String> = proposal
        .sellers
        .iter()
        .map(|(seller, form)| (format!("{seller}.toml"), catalogues::write_toml(form)))
        .collect();
    let catalogue = Catalogue::from_toml(&files).map_err(|problems| {
        let told: Vec<_> = problems.iter().take(10).map(ToString::to_string).collect();
        anyhow::anyhow!("the result would be wrong, so nothing was written:\n{}", told.join("\n"))
    })?;
    let changed = changed_files(folder, &files)?;
    if !args.yes {
        confirm(changed.len(), folder)?;
    }
    write(folder, &changed)?;
    say(&format!(
        "Wrote {} of {} files to `{}`: catalogue {}.\nA server takes it up when it starts.",
        changed.len(),
        files.len(),
        folder.display(),
        catalogue.id()
    ));
    Ok(())
}

fn show(proposal: &Proposal, args: &PricesSourcesArgs) {
    if args.refused {
        say(proposal.refusals().trim_end());
    }
    let hint = match proposal.refused.is_empty() || args.refused {
        true => "",
        false => " (--refused lists them)",
    };
    say(&format!("{}{hint}", proposal.to_string().trim_end()));
}

fn folder<'a>(config: &'a Config, args: &'a PricesSourcesArgs) -> &'a Path {
    args.folder.as_deref().unwrap_or(&config.prices_folder)
}

fn propose(config: &Config, args: &PricesSourcesArgs) -> Result<Proposal> {
    let today = domain::time::utc_day(SystemClock.now());
    let read_on = args.read_on.unwrap_or(today);
    let sources: Vec<Source> = args
        .files
        .iter()
        .map(|file| source(file, args.catalogue_version.as_deref(), read_on))
        .collect::<Result<_>>()?;
    let existing = match args.from_nothing {
        true => BTreeMap::new(),
        false => existing(folder(config, args))?,
    };
    // Catalogues are heard together: of those that are not given, the built-in copy is.
    let sources = catalogues::complete(sources);
    Ok(catalogues::generate(&existing, &sources, args.on.unwrap_or(today))?)
}

fn source(file: &Path, version: Option<&str>, read_on: Date) -> Result<Source> {
    let name = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read `{name}`"))?;
    let file_name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut source =
        Source::read(&file_name, &bytes, read_on).with_context(|| format!("`{name}`"))?;
    if let Some(version) = version {
        version.clone_into(&mut source.version);
    }
    Ok(source)
}

/// The catalogue in a folder, or the built-in one.
fn existing(folder: &Path) -> Result<BTreeMap<String, SellerForm>> {
    let files = toml_files(folder)?;
    let forms = match files.is_empty() {
        true => Catalogue::built_in_forms(),
        false => {
            let read = |(name, text): (&String, &String)| {
                let form: Result<SellerForm, _> = toml::from_str(text);
                form.with_context(|| format!("`{}`", folder.join(name).display()))
            };
            files.iter().map(read).collect::<Result<_>>()?
        }
    };
    Ok(forms.into_iter().map(|form| (form.seller.clone(), form)).collect())
}

fn changed_files<'a>(
    folder: &Path,
    files: &'a BTreeMap<String, String>,
) -> Result<Vec<(PathBuf, &'a str)>> {
    let there = toml_files(folder)?;
    let is_changed = |(name, text): &(&String, &String)| there.get(*name) != Some(*text);
    let path = |(name, text): (&String, &'a String)| (folder.join(name), text.as_str());
    Ok(files.iter().filter(is_changed).map(path).collect())
}

fn confirm(count: usize, folder: &Path) -> Result<()> {
    ensure!(
        std::io::stdin().is_terminal(),
        "nothing was written: add --yes to write {count} files to `{}`",
        folder.display()
    );
    let question = format!("Write {count} files to `{}`?", folder.display());
    match inquire::Confirm::new(&question).with_default(false).prompt() {
        Ok(true) => Ok(()),
        _ => bail!("nothing was written"),
    }
}

/// Writes every file beside its place first, so that a full disk changes nothing; then each takes
/// its place at once. A crash between two leaves sellers of both states, each whole, and the same
/// import again finishes.
fn write(folder: &Path, files: &[(PathBuf, &str)]) -> Result<()> {
    let writing = |path: &Path| format!("writing `{}`; nothing was changed", path.display());
    fs::create_dir_all(folder).with_context(|| writing(folder))?;
    let beside = |path: &Path| path.with_extension("toml.new");
    for (path, text) in files {
        let new = beside(path);
        let written = File::create(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
        if let Err(error) = written {
            for (path, _) in files {
                // What was not written cannot be removed, which is as good.
                let _removed = fs::remove_file(beside(path));
            }
            return Err(error).with_context(|| writing(&new));
        }
    }
    for (path, _) in files {
        let replacing = || format!("replacing `{}`: run the same import again", path.display());
        fs::rename(beside(path), path).with_context(replacing)?;
    }
    Ok(())
}
