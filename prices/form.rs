//! The text form of the price catalogue: what a seller's TOML file holds, word for word.
//!
//! Decimals are strings and stay strings here; `read_model` checks them and makes exact
//! rates. The same form is used by the built-in catalogue, by an operator's own file, and by the
//! API, so a row can be moved from one to the other. The build script reads it too, which is why
//! this file uses nothing but `serde`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One seller's prices: one file of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SellerForm {
    /// Who sells: `openai`, `bedrock`.
    pub seller: String,
    /// Sellers whose own price this one charges for their models, where it has no row of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charges_price_of: Vec<String>,
    /// What is sold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<ModelForm>,
    /// Names that mean different models at different times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alias: Vec<AliasForm>,
}

/// One model and its price rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelForm {
    /// The model's canonical name at this seller.
    pub id: String,
    /// Other names, exact. A valid date or version suffix is allowed by rule, nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Price rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub price: Vec<PriceForm>,
}

/// A name that means `model` for a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AliasForm {
    /// The name.
    pub name: String,
    /// Id of the model it means.
    pub model: String,
    /// First instant, RFC 3339; from the beginning if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// First instant after; still in force if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Which catalogue says so, with its version.
    pub source: String,
    /// Where that catalogue points to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Under which condition a row holds. All absent: the list price.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhenForm {
    /// `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing: Option<String>,
    /// `flex`, `priority`, `fast`, `ultrafast` or `balanced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// `fast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
}

/// Days of the week and times of the day in a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoursForm {
    /// `UTC` or an IANA zone.
    pub zone: String,
    /// `Mon-Fri`, `Sat-Sun`, `Mon,Wed`; every day if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<String>,
    /// `09:00-12:00`, half-open; `24:00` ends a day.
    pub windows: Vec<String>,
}

/// A figure that another source gives for the same rate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DisputeForm {
    /// The rate's key: `cache_read`; with ` over N` for the tier above or from N input tokens.
    pub rate: String,
    /// What the other source says, in the same unit; absent where it has no such rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure: Option<String>,
    /// The other source, with its version.
    pub source: String,
}

/// Declares a table that carries rates beside its own fields.
macro_rules! rates {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty,)* }
     after { $($(#[$after_about:meta])* $after:ident: $after_type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$about])* pub $field: $type,)*
            /// Input tokens that no other rate is for, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub input: Option<String>,
            /// Input tokens read from a cache, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cache_read: Option<String>,
            /// Input tokens written to a cache for five minutes, or for however long where a
            /// seller knows one kind only; per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cache_write_5m: Option<String>,
            /// Input tokens written to a cache for an hour, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cache_write_1h: Option<String>,
            /// Audio tokens of the input, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub input_audio: Option<String>,
            /// Image tokens of the input, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub input_image: Option<String>,
            /// Audio tokens read from a cache, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cache_read_audio: Option<String>,
            /// Image tokens read from a cache, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cache_read_image: Option<String>,
            /// Output tokens that no other rate is for, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub output: Option<String>,
            /// Reasoning tokens, per `per`; at the output rate where absent.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub output_reasoning: Option<String>,
            /// Audio tokens of the output, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub output_audio: Option<String>,
            /// Image tokens of the output, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub output_image: Option<String>,
            /// Characters of input, per `per`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub input_characters: Option<String>,
            /// One call.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub per_request: Option<String>,
            /// One search of the web.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub per_web_search: Option<String>,
            /// One picture.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub per_image: Option<String>,
            /// One page.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub per_page: Option<String>,
            /// 3,600 seconds of audio.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub per_audio_hour: Option<String>,
            $($(#[$after_about])* pub $after: $after_type,)*
        }

        impl $name {
            /// The rates by their keys, in the order of the catalogue.
            #[must_use]
            pub fn rates(&self) -> [(&'static str, Option<&str>); 18] {
                [
                    ("input", self.input.as_deref()),
                    ("cache_read", self.cache_read.as_deref()),
                    ("cache_write_5m", self.cache_write_5m.as_deref()),
                    ("cache_write_1h", self.cache_write_1h.as_deref()),
                    ("input_audio", self.input_audio.as_deref()),
                    ("input_image", self.input_image.as_deref()),
                    ("cache_read_audio", self.cache_read_audio.as_deref()),
                    ("cache_read_image", self.cache_read_image.as_deref()),
                    ("output", self.output.as_deref()),
                    ("output_reasoning", self.output_reasoning.as_deref()),
                    ("output_audio", self.output_audio.as_deref()),
                    ("output_image", self.output_image.as_deref()),
                    ("input_characters", self.input_characters.as_deref()),
                    ("per_request", self.per_request.as_deref()),
                    ("per_web_search", self.per_web_search.as_deref()),
                    ("per_image", self.per_image.as_deref()),
                    ("per_page", self.per_page.as_deref()),
                    ("per_audio_hour", self.per_audio_hour.as_deref()),
                ]
            }

            /// The place of a rate by its key; `None` for a key that is no rate's.
            pub fn rate_mut(&mut self, key: &str) -> Option<&mut Option<String>> {
                Some(match key {
                    "input" => &mut self.input,
                    "cache_read" => &mut self.cache_read,
                    "cache_write_5m" => &mut self.cache_write_5m,
                    "cache_write_1h" => &mut self.cache_write_1h,
                    "input_audio" => &mut self.input_audio,
                    "input_image" => &mut self.input_image,
                    "cache_read_audio" => &mut self.cache_read_audio,
                    "cache_read_image" => &mut self.cache_read_image,
                    "output" => &mut self.output,
                    "output_reasoning" => &mut self.output_reasoning,
                    "output_audio" => &mut self.output_audio,
                    "output_image" => &mut self.output_image,
                    "input_characters" => &mut self.input_characters,
                    "per_request" => &mut self.per_request,
                    "per_web_search" => &mut self.per_web_search,
                    "per_image" => &mut self.per_image,
                    "per_page" => &mut self.per_page,
                    "per_audio_hour" => &mut self.per_audio_hour,
                    _ => return None,
                })
            }
        }
    };
}

rates! {
    /// One price row: a complete rate card for a span of time under one condition. Nothing is
    /// inherited from another row.
    PriceForm {
        /// First instant, RFC 3339 in UTC; from the beginning if absent.
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
        per: Option<u32>,
        /// The source says that this model costs nothing. The only way to a rate of zero.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        free: bool,
        /// Own rows only: instead of rates, this part off the built-in price (`0.15`).
        #[serde(skip_serializing_if = "Option::is_none")]
        discount: Option<String>,
        /// Own rows only: instead of rates, this many times the built-in price (`1.1`).
        #[serde(skip_serializing_if = "Option::is_none")]
        multiplier: Option<String>,
    }
    after {
        /// On a Vertex endpoint of a named region: this many times the rates of tokens.
        #[serde(skip_serializing_if = "Option::is_none")]
        vertex_regional: Option<String>,
        /// Audio is billed as at least this many seconds a call.
        #[serde(skip_serializing_if = "Option::is_none")]
        minimum_audio_seconds: Option<String>,
        /// An allowance of searches that no single call can show: `1500 a day`.
        #[serde(skip_serializing_if = "Option::is_none")]
        free_web_searches: Option<String>,
        /// What the seller also charges by and usage has no word for: `output_cost_per_second`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_computable: Vec<String>,
        /// Which catalogues say so, with their versions.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Where that catalogue points to.
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<String>,
        /// The day on which the catalogue was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        read: Option<String>,
        /// `agreed`, `single`, `ruled`, `inferred` or `disputed`.
        #[serde(skip_serializing_if = "Option::is_none")]
        confidence: Option<String>,
        /// Why, where sources differ and a rule decides.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// The condition.
        #[serde(skip_serializing_if = "is_default")]
        when: WhenForm,
        /// By place where data stay: this many times the rates of tokens.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        data_residency: BTreeMap<String, String>,
        /// Units of a custom service and what one costs.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        custom: BTreeMap<String, String>,
        /// Days and times; always if absent.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        hours: Vec<HoursForm>,
        /// Rate cards for requests with much input. They are for every token of such a request.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        over: Vec<OverForm>,
        /// Rates that another source gives otherwise.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        disputed: Vec<DisputeForm>,
    }
}

rates! {
    /// A complete rate card for requests whose whole input, cached tokens included, is larger than
    /// a threshold.
    OverForm {
        /// The card is for requests with more input tokens than this.
        #[serde(skip_serializing_if = "Option::is_none")]
        input_tokens_above: Option<u64>,
        /// The card is for requests with at least this many input tokens.
        #[serde(skip_serializing_if = "Option::is_none")]
        input_tokens_from: Option<u64>,
    }
    after {}
}

fn is_default(when: &WhenForm) -> bool {
    *when == WhenForm::default()
}
