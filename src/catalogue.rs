//! `outlay providers` and `outlay formats`: what can be connected and what can be read, from the
//! registries.

use anyhow::Result;
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::{cli::Output, output::Listing};

#[derive(Serialize)]
struct Provider {
    id: &'static str,
    name: &'static str,
    reports: String,
    history_days: u32,
    settle_delay_hours: u32,
    credentials: Vec<&'static str>,
    documentation_url: &'static str,
}

#[derive(Serialize)]
struct Format {
    id: &'static str,
    name: &'static str,
    versions: &'static [&'static str],
    extensions: &'static [&'static str],
    documentation_url: &'static str,
}

/// Prints the providers.
pub(crate) fn providers(output: Output) -> Result<()> {
    let of = |connector: &&dyn connectors::Connector| {
        let descriptor = connector.descriptor();
        let reports = descriptor.reports;
        let told = [("usage", reports.usage), ("cost", reports.cost), ("invoice", reports.invoice)];
        let told = told.iter().filter_map(|(name, is_told)| is_told.then_some(*name));
        Provider {
            id: descriptor.id,
            name: descriptor.title,
            reports: told.collect::<Vec<_>>().join(", "),
            history_days: descriptor.history_days,
            settle_delay_hours: descriptor.settle_delay_hours,
            credentials: descriptor.auth_fields.iter().map(|field| field.name).collect(),
            documentation_url: descriptor.documentation_url,
        }
    };
    let providers: Vec<_> = connectors::REGISTRY.iter().map(of).collect();
    let row = |provider: &Provider| {
        vec![
            provider.id.to_owned(),
            provider.name.to_owned(),
            provider.reports.clone(),
            format!("{} days", provider.history_days),
            format!("{} h", provider.settle_delay_hours),
            provider.credentials.join(", "),
        ]
    };
    let columns = vec!["id", "name", "tells", ">history", ">final after", "credentials"];
    let rows = providers.iter().map(row).collect();
    Listing { columns, rows, json: &to_raw_value(&providers)? }.print(output)
}

/// Prints the formats.
pub(crate) fn formats(output: Output) -> Result<()> {
    let of = |parser: &&dyn parsers::Parser| {
        let descriptor = parser.descriptor();
        Format {
            id: descriptor.id,
            name: descriptor.title,
            versions: descriptor.versions,
            extensions: descriptor.extensions,
            documentation_url: descriptor.documentation_url,
        }
    };
    let formats: Vec<_> = parsers::REGISTRY.iter().map(of).collect();
    let row = |format: &Format| {
        vec![
            format.id.to_owned(),
            format.name.to_owned(),
            format.versions.join(", "),
            format.extensions.join(", "),
            format.documentation_url.to_owned(),
        ]
    };
    let columns = vec!["id", "name", "versions", "endings", "documentation"];
    let rows = formats.iter().map(row).collect();
    Listing { columns, rows, json: &to_raw_value(&formats)? }.print(output)
}

#[cfg(test)]
mod tests {
    //! Documents that name every connector or format agree with the descriptors.

    fn document(name: &str) -> String {
        std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn every_connector_has_its_row_in_subprocessors() {
        let text = document("SUBPROCESSORS.md");
        let rest = text.split_once("<!-- connectors: begin -->\n").unwrap().1;
        let found = rest.split_once("<!-- connectors: end -->").unwrap().0;
        let mut expected =
            "| Provider | Hosts that are called | What they receive | Documentation |\n\
                            |---|---|---|---|\n"
                .to_owned();
        for connector in connectors::REGISTRY {
            let descriptor = connector.descriptor();
            let hosts: Vec<_> = descriptor.hosts.iter().map(|host| format!("`{host}`")).collect();
            let (title, id) = (descriptor.title, descriptor.id);
            let (hosts, sent) = (hosts.join(", "), descriptor.data_sent);
            let url = descriptor.documentation_url;
            expected.push_str(&format!("| {title} (`{id}`) | {hosts} | {sent} | <{url}> |\n"));
        }
        assert_eq!(
            found, expected,
            "SUBPROCESSORS.md is stale; between its marks put:\n{expected}"
        );
    }

    #[test]
    fn every_connector_and_format_is_in_the_readme() {
        let text = document("README.md");
        let connectors = connectors::REGISTRY.iter().map(|connector| connector.descriptor());
        let connectors = connectors.map(|descriptor| (descriptor.title, descriptor.id));
        let formats = parsers::REGISTRY.iter().map(|parser| parser.descriptor());
        let formats = formats.map(|descriptor| (descriptor.title, descriptor.id));
        for (title, id) in connectors.chain(formats) {
            let row = format!("| {title} | `{id}` |");
            assert!(text.contains(&row), "README.md lacks the row `{row}`");
        }
    }
}
