//! Prices from files: the catalogue in its folder, and an operator's own prices.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use prices::{Catalogue, FileProblem, OwnPrices};

/// The catalogue in `folder`, or the built-in one where the folder has no files.
pub(crate) fn catalogue(folder: &Path) -> Result<Arc<Catalogue>> {
    let files = toml_files(folder)?;
    if files.is_empty() {
        return Ok(Arc::new(Catalogue::read_built_in()));
    }
    match Catalogue::from_toml(&files) {
        Ok(catalogue) => {
            let built_in = Catalogue::built_in();
            if catalogue.read_on() < built_in.read_on() {
                tracing::warn!(
                    folder = %folder.display(), catalogue = catalogue.id(),
                    built_in = built_in.id(),
                    "the price catalogue in the folder is older than the built-in one"
                );
            }
            Ok(Arc::new(catalogue))
        }
        Err(problems) => bail!(
            "the price catalogue in `{}` is wrong:\n{}\nCorrect it, or move the folder away to use \
             the built-in catalogue.",
            folder.display(),
            told(&problems)
        ),
    }
}

/// Says in the log where a catalogue is older than prices stay. It is used all the same.
pub(crate) fn report_age(catalogue: &Catalogue, today: Date) {
    const OLD_DAYS: i32 = 90;
    let read_on = catalogue.read_on();
    let age = read_on.and_then(|day| today.since(day).ok()).map_or(0, |span| span.get_days());
    if age > OLD_DAYS {
        tracing::warn!(
            catalogue = catalogue.id(),
            age_days = age,
            "the price catalogue is old: import newer sources with `outlay prices import`"
        );
    }
}

/// An operator's own prices; none without a file.
pub(crate) fn operator_prices(file: Option<&Path>) -> Result<Arc<OwnPrices>> {
    let Some(path) = file else { return Ok(Arc::default()) };
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}` (prices_file)", path.display()))?;
    let name = path.display().to_string();
    match OwnPrices::from_toml(&name, &text) {
        Ok(own) => Ok(Arc::new(own)),
        Err(problems) => bail!("own prices are wrong:\n{}", told(&problems)),
    }
}

/// The TOML files of a folder by their names; none where there is no folder.
pub(crate) fn toml_files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let reading = || format!("reading the folder `{}`", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry.with_context(reading)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".toml") {
            let text = fs::read_to_string(&path).with_context(reading)?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

fn told(problems: &[FileProblem]) -> String {
    const SHOWN_MAX: usize = 20;
    let mut lines: Vec<_> = problems.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    if problems.len() > SHOWN_MAX {
        lines.push(format!("and {} more", problems.len() - SHOWN_MAX));
    }
    lines.join("\n")
}
