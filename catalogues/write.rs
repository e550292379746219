//! Writes a seller's form as TOML: stable bytes, one key per line, models in the order of ids.

use prices::form::{
    AliasForm, DisputeForm, HoursForm, ModelForm, OverForm, PriceForm, SellerForm, WhenForm,
};

const HEADER: &str = "\
# Prices of this seller, generated from public price catalogues by `outlay prices import`.
# Sources, their versions and their notices: catalogues/sources/README.md. Do not edit: prices of
# your own belong in a file of your own.
";

/// The text of a seller's file.
#[must_use]
pub fn write_toml(seller: &SellerForm) -> String {
    let mut out = Writer { text: HEADER.to_owned() };
    out.string("seller", &seller.seller);
    out.strings("charges_price_of", &seller.charges_price_of);
    let mut models: Vec<&ModelForm> = seller.model.iter().collect();
    models.sort_by(|a, b| a.id.cmp(&b.id));
    models.into_iter().for_each(|model| out.model(model));
    seller.alias.iter().for_each(|alias| out.alias(alias));
    out.text
}

struct Writer {
    text: String,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn string(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {}", quoted(value)));
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(key, value);
        }
    }

    fn strings(&mut self, key: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let quoted: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        let line = format!("{key} = [{}]", quoted.join(", "));
        match line.len() <= 100 {
            true => self.line(&line),
            false => self.list(key, quoted),
        }
    }

    /// A list with one item per line.
    fn list(&mut self, key: &str, items: impl IntoIterator<Item = String>) {
        self.line(&format!("{key} = ["));
        items.into_iter().for_each(|item| self.line(&format!("    {item},")));
        self.line("]");
    }

    fn model(&mut self, model: &ModelForm) {
        self.line("\n[[model]]");
        self.string("id", &model.id);
        self.strings("names", &model.names);
        model.price.iter().for_each(|row| self.price(row));
    }

    fn price(&mut self, row: &PriceForm) {
        self.line("\n[[model.price]]");
        self.when(&row.when);
        self.optional("from", row.from.as_deref());
        self.optional("until", row.until.as_deref());
        self.optional("currency", row.currency.as_deref());
        if let Some(per) = row.per {
            self.line(&format!("per = {per}"));
        }
        if row.free {
            self.line("free = true");
        }
        self.optional("discount", row.discount.as_deref());
        self.optional("multiplier", row.multiplier.as_deref());
        for (key, rate) in row.rates() {
            self.optional(key, rate);
        }
        self.table("data_residency", row.data_residency.iter());
        self.optional("vertex_regional", row.vertex_regional.as_deref());
        self.table("custom", row.custom.iter());
        self.optional("minimum_audio_seconds", row.minimum_audio_seconds.as_deref());
        self.optional("free_web_searches", row.free_web_searches.as_deref());
        self.strings("not_computable", &row.not_computable);
        self.optional("confidence", row.confidence.as_deref());
        self.optional("rule", row.rule.as_deref());
        self.optional("source", row.source.as_deref());
        self.optional("link", row.link.as_deref());
        self.optional("read", row.read.as_deref());
        if !row.hours.is_empty() {
            self.list("hours", row.hours.iter().map(hours));
        }
        if !row.disputed.is_empty() {
            self.list("disputed", row.disputed.iter().map(disputed));
        }
        row.over.iter().for_each(|over| self.over(over));
    }

    fn when(&mut self, when: &WhenForm) {
        let conditions = [
            ("processing", &when.processing),
            ("service_tier", &when.service_tier),
            ("speed", &when.speed),
        ];
        let pairs = conditions.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        self.table("when", pairs);
    }

    fn table<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        key: &str,
        pairs: impl Iterator<Item = (K, V)>,
    ) {
        let pairs: Vec<(K, V)> = pairs.collect();
        if !pairs.is_empty() {
            let pairs: Vec<(&str, Option<&str>)> =
                pairs.iter().map(|(key, value)| (key.as_ref(), Some(value.as_ref()))).collect();
            self.line(&format!("{key} = {}", inline(&pairs)));
        }
    }

    fn over(&mut self, over: &OverForm) {
        self.line("\n[[model.price.over]]");
        if let Some(tokens) = over.input_tokens_above {
            self.line(&format!("input_tokens_above = {tokens}"));
        }
        if let Some(tokens) = over.input_tokens_from {
            self.line(&format!("input_tokens_from = {tokens}"));
        }
        for (key, rate) in over.rates() {
            self.optional(key, rate);
        }
    }

    fn alias(&mut self, alias: &AliasForm) {
        self.line("\n[[alias]]");
        self.string("name", &alias.name);
        self.string("model", &alias.model);
        self.optional("from", alias.from.as_deref());
        self.optional("until", alias.until.as_deref());
        self.string("source", &alias.source);
        self.optional("link", alias.link.as_deref());
    }
}

fn hours(hours: &HoursForm) -> String {
    let windows: Vec<String> = hours.windows.iter().map(|window| quoted(window)).collect();
    let days = hours.days.as_deref().map(|days| format!("days = {}, ", quoted(days)));
    let (zone, days) = (quoted(&hours.zone), days.unwrap_or_default());
    format!("{{ zone = {zone}, {days}windows = [{}] }}", windows.join(", "))
}

fn disputed(dispute: &DisputeForm) -> String {
    inline(&[
        ("rate", Some(&dispute.rate)),
        ("figure", dispute.figure.as_deref()),
        ("source", Some(&dispute.source)),
    ])
}

fn inline(pairs: &[(&str, Option<&str>)]) -> String {
    let pairs = pairs.iter().filter_map(|(key, value)| {
        let bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let key = if bare { (*key).to_owned() } else { quoted(key) };
        Some(format!("{key} = {}", quoted((*value)?)))
    });
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = include_str!("testdata/every_key.toml");
        let form: SellerForm = toml::from_str(text).unwrap();
        let written = write_toml(&form);
        assert_eq!(toml::from_str::<SellerForm>(&written).unwrap(), form);
        assert_eq!(written, text);
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
    }
}
