//! Compiles the catalogue's TOML files into compact JSON, a line for each seller, which is built
//! into the library. A file that cannot be read fails the build with its name and line.

use std::{collections::BTreeMap, env, error::Error, fs, path::Path};

#[expect(dead_code, unreachable_pub, reason = "the library uses the rest, and exports it")]
#[path = "form.rs"]
mod form;
#[path = "id.rs"]
mod id;

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts where to write")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=catalogue");
    println!("cargo::rerun-if-changed=form.rs");
    println!("cargo::rerun-if-changed=id.rs");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir("catalogue")? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let seller: form::SellerForm =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        files.insert(path, seller);
    }
    let sellers: Vec<_> = files.into_values().collect();
    let out = env::var("OUT_DIR")?;
    // One seller a line, so that the lines can be read side by side.
    let lines = sellers.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    fs::write(Path::new(&out).join("catalogue.jsonl"), lines.join("\n"))?;
    fs::write(Path::new(&out).join("catalogue.id"), id::id_of(&sellers))?;
    Ok(())
}
