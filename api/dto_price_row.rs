//! Price rows as people send them: the keys of the text form of prices, flat, with decimals as
//! strings or numbers.
//!
//! [`prices::form`] has the same keys, which is how a row goes from here to there. What it says is
//! checked there.

use std::collections::BTreeMap;

use prices::form::ModelForm;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json_decimal::Decimal;

/// What a model or a pattern costs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelPrices {
    /// Other exact names of the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    /// Rows, each for a span of time and a condition; none may hold while another of the same
    /// condition does. `prices` is another name of this field.
    #[serde(alias = "prices")]
    #[schema(min_items = 1, max_items = 1000)]
    pub(crate) price: Vec<PriceRow>,
}

/// What all models of a service cost that have no prices of their own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServicePrices {
    /// Rows, most often one with a `discount` or `multiplier`; none for a service whose models are
    /// priced one by one. `prices` is another name of this field.
    #[serde(default, alias = "prices")]
    #[schema(max_items = 1000)]
    pub(crate) price: Vec<PriceRow>,
}

impl ModelPrices {
    /// The same in the form that prices are read from.
    pub(crate) fn form(&self, id: &str) -> ModelForm {
        let json = serde_json::to_vec(self).expect("rows are plain data");
        let form = serde_json::from_slice(&json).expect("rows have the keys of the form");
        ModelForm { id: id.to_owned(), ..form }
    }
}

impl From<ServicePrices> for ModelPrices {
    fn from(prices: ServicePrices) -> ModelPrices {
        ModelPrices { names: vec![], price: prices.price }
    }
}

/// Declares a row that carries rates beside its own fields.
macro_rules! rates {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            $($(#[$about])* $field: $type,)*
            /// Input tokens that no other rate is for, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            input: Option<Decimal>,
            /// Input tokens read from a cache, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            cache_read: Option<Decimal>,
            /// Input tokens written to a cache for five minutes, or for however long where the
            /// seller knows one kind only; per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            cache_write_5m: Option<Decimal>,
            /// Input tokens written to a cache for an hour, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            cache_write_1h: Option<Decimal>,
            /// Audio tokens of the input, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            input_audio: Option<Decimal>,
            /// Image tokens of the input, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            input_image: Option<Decimal>,
            /// Audio tokens read from a cache, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            cache_read_audio: Option<Decimal>,
            /// Image tokens read from a cache, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            cache_read_image: Option<Decimal>,
            /// Output tokens that no other rate is for, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            output: Option<Decimal>,
            /// Reasoning tokens, per `per`; at the output rate where absent.
            #[serde(skip_serializing_if = "Option::is_none")]
            output_reasoning: Option<Decimal>,
            /// Audio tokens of the output, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            output_audio: Option<Decimal>,
            /// Image tokens of the output, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            output_image: Option<Decimal>,
            /// Characters of input, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            input_characters: Option<Decimal>,
            /// One call.
            #[serde(skip_serializing_if = "Option::is_none")]
            per_request: Option<Decimal>,
            /// One search of the web.
            #[serde(skip_serializing_if = "Option::is_none")]
            per_web_search: Option<Decimal>,
            /// One picture.
            #[serde(skip_serializing_if = "Option::is_none")]
            per_image: Option<Decimal>,
            /// One page.
            #[serde(skip_serializing_if = "Option::is_none")]
            per_page: Option<Decimal>,
            /// 3,600 seconds of audio.
            #[serde(skip_serializing_if = "Option::is_none")]
            per_audio_hour: Option<Decimal>,
        }
    };
}

rates! {
    /// One row: a complete rate card for a span of time under one condition, or instead of rates a
    /// `discount`, a `multiplier`, or `free`.
    PriceRow {
        /// First instant, RFC 3339, or date in UTC; from the beginning if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// First instant after; still in force if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<String>,
        /// ISO 4217 code; USD if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<String>,
        /// Of how many tokens or characters rates are: 1,000,000 if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1)]
        per: Option<u32>,
        /// It costs nothing. The only way to a rate of zero.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        free: bool,
        /// Instead of rates, this part off the built-in price: `0.15`.
        #[serde(skip_serializing_if = "Option::is_none")]
        discount: Option<Decimal>,
        /// Instead of rates, this many times the built-in price: `1.1`.
        #[serde(skip_serializing_if = "Option::is_none")]
        multiplier: Option<Decimal>,
        /// On a Vertex endpoint of a named region: this many times the rates of tokens.
        #[serde(skip_serializing_if = "Option::is_none")]
        vertex_regional: Option<Decimal>,
        /// Audio is billed as at least this many seconds a call.
        #[serde(skip_serializing_if = "Option::is_none")]
        minimum_audio_seconds: Option<Decimal>,
        /// An allowance of searches that no single call can show: `1500 a day`.
        #[serde(skip_serializing_if = "Option::is_none")]
        free_web_searches: Option<String>,
        /// What is also charged by and usage has no word for.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_computable: Vec<String>,
        /// Where the figures are from, for people: a contract's number.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Where that can be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<String>,
        /// On which day it was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        read: Option<String>,
        /// Of rows of the built-in catalogue; an own row is sure of itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        confidence: Option<String>,
        /// Why the figures are as they are.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// The condition; the list price if absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        when: Option<Condition>,
        /// By place where data stay: this many times the rates of tokens.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        data_residency: BTreeMap<String, Decimal>,
        /// Units of a custom service and what one costs, by name without `custom:`.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        custom: BTreeMap<String, Decimal>,
        /// Days and times; always if absent.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        hours: Vec<HoursRow>,
        /// Complete rate cards for requests with much input, by rising threshold. They are for
        /// every token of such a request.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        over: Vec<OverRow>,
        /// Rates that another source gives otherwise.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        disputed: Vec<DisputeRow>,
    }
}

impl PriceRow {
    /// Whether the row adjusts the built-in price instead of having rates.
    pub(crate) fn is_adjustment(&self) -> bool {
        self.discount.is_some() || self.multiplier.is_some()
    }

    /// Names of its custom units.
    pub(crate) fn custom_units(&self) -> impl Iterator<Item = &str> {
        self.custom.keys().map(String::as_str)
    }
}

rates! {
    /// A complete rate card for requests whose whole input, cached tokens included, is large.
    OverRow {
        /// The card is for requests with more input tokens than this.
        #[serde(skip_serializing_if = "Option::is_none")]
        input_tokens_above: Option<u64>,
        /// The card is for requests with at least this many input tokens.
        #[serde(skip_serializing_if = "Option::is_none")]
        input_tokens_from: Option<u64>,
    }
}

/// Under which condition a row holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Condition {
    /// `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    processing: Option<String>,
    /// `flex`, `priority`, `fast`, `ultrafast` or `balanced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<String>,
    /// `fast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<String>,
}

/// Days of the week and times of the day in a zone.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoursRow {
    /// `UTC` or an IANA zone.
    zone: String,
    /// `Mon-Fri`, `Sat-Sun`, `Mon,Wed`; every day if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<String>,
    /// `09:00-12:00`, half-open; `24:00` ends a day.
    windows: Vec<String>,
}

/// A figure that another source gives for the same rate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DisputeRow {
    /// The rate's key; with ` over N` for the card of that threshold.
    rate: String,
    /// What the other source says; absent where it has no such rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    figure: Option<Decimal>,
    /// The other source.
    source: String,
}

#[cfg(test)]
mod tests {
    use prices::form::{DisputeForm, HoursForm, OverForm, PriceForm, WhenForm};

    use super::*;

    /// A row with every field said.
    fn full() -> PriceForm {
        let text = |text: &str| Some(text.to_owned());
        let mut row = PriceForm {
            from: text("2026-01-01"),
            until: text("2026-02-01"),
            currency: text("EUR"),
            per: Some(1000),
            free: true,
            discount: text("0.1"),
            multiplier: text("1.1"),
            vertex_regional: text("1.2"),
            minimum_audio_seconds: text("10"),
            free_web_searches: text("1500 a day"),
            not_computable: vec!["seconds".to_owned()],
            source: text("contract 7"),
            link: text("https://example.com"),
            read: text("2026-01-01"),
            confidence: text("agreed"),
            rule: text("because"),
            when: WhenForm {
                processing: text("batch"),
                service_tier: text("flex"),
                speed: text("fast"),
            },
            data_residency: [("eu".to_owned(), "1.1".to_owned())].into(),
            custom: [("tasks".to_owned(), "0.02".to_owned())].into(),
            hours: vec![HoursForm {
                zone: "UTC".to_owned(),
                days: text("Mon-Fri"),
                windows: vec!["09:00-12:00".to_owned()],
            }],
            over: vec![OverForm {
                input_tokens_above: Some(1),
                input_tokens_from: Some(2),
                ..OverForm::default()
            }],
            disputed: vec![DisputeForm {
                rate: "input".to_owned(),
                figure: text("3"),
                source: "elsewhere".to_owned(),
            }],
            ..PriceForm::default()
        };
        let keys = row.rates().map(|(key, _)| key);
        for (number, key) in (1..).zip(keys) {
            // Digits that do not end in zero, which would be cut off.
            *row.rate_mut(key).unwrap() = Some(format!("0.{number}1"));
            *row.over[0].rate_mut(key).unwrap() = Some(format!("1.{number}1"));
        }
        row
    }

    #[test]
    fn a_row_has_the_keys_of_the_text_form_and_no_others() {
        let names = vec!["a".to_owned()];
        let form = ModelForm { id: "m".to_owned(), names, price: vec![full()] };
        let mut json = serde_json::to_value(&form).unwrap();
        json.as_object_mut().unwrap().remove("id");
        let sent: ModelPrices = serde_json::from_str(&json.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&sent).unwrap(), json);
        assert_eq!(serde_json::to_value(sent.form("m")).unwrap()["price"], json["price"]);
    }
}
