//! Writes the built-in catalogue anew from the packed sources.

use std::collections::BTreeMap;

fn main() {
    let date = "2026-11-20".parse().unwrap();
    let source = |catalogue, version: &str, file: &str| catalogues::Source {
        catalogue,
        version: version.to_owned(),
        read_on: date,
        text: catalogues::unzip(&std::fs::read(file).unwrap()).unwrap(),
    };
    let dir = "catalogues/sources";
    let sources = [
        source(
            catalogues::Catalogue::GenaiPrices,
            "0.2.3",
            &format!("{dir}/genai-prices-0.2.3.json.gz"),
        ),
        source(
            catalogues::Catalogue::LiteLlm,
            "1.109.1",
            &format!("{dir}/litellm-1.109.1.json.gz"),
        ),
        source(
            catalogues::Catalogue::Metergraph,
            "0.7.4",
            &format!("{dir}/metergraph-0.7.4.yaml.gz"),
        ),
    ];
    let proposal = catalogues::generate(&BTreeMap::new(), &sources, date).unwrap();
    for (name, form) in &proposal.sellers {
        let text = catalogues::write_toml(form);
        let again: prices::form::SellerForm = toml::from_str(&text).unwrap();
        assert_eq!(&again, form);
        std::fs::write(format!("prices/catalogue/{name}.toml"), text).unwrap();
        let rows: usize = form.model.iter().map(|m| m.price.len()).sum();
        println!("{name}: {} models, {rows} rows, {} aliases", form.model.len(), form.alias.len());
    }
    std::fs::write(
        "/tmp/imp/refused.txt",
        proposal.refused.iter().map(|r| format!("{} {r}\n", r.seller)).collect::<String>(),
    )
    .unwrap();
    std::fs::write(
        "/tmp/imp/kept.txt",
        proposal.kept.iter().map(|r| format!("{r:?}\n")).collect::<String>(),
    )
    .unwrap();
}
