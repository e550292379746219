//! The models that the sandbox's organization uses, and what it pays for them.
//!
//! Names and list prices are those that OpenAI publishes (<https://openai.com/api/pricing>). The
//! organization buys at a small discount, so that amounts use all fifteen decimals, as real ones
//! do. Rates are whole femtodollars (10⁻¹⁵ USD) for one token or one call: every cost is an exact
//! integer.

/// One 47th off the list price; a prime, so that hardly any rate ends in zeros.
const DISCOUNT: i128 = 47;

/// A model and its list price in thousandths of a dollar for a million tokens.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    input: i128,
    cached_input: i128,
    output: i128,
}

/// What one token costs, in femtodollars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) input: i128,
    pub(crate) cached_input: i128,
    pub(crate) output: i128,
}

/// One call of the web search tool costs a cent at list price.
pub(crate) const WEB_SEARCH_RATE: i128 = discounted(10_000_000_000_000);

pub(crate) const GPT_4O: &Model = &model("gpt-4o-2024-08-06", 2_500, 1_250, 10_000);
pub(crate) const GPT_4O_MINI: &Model = &model("gpt-4o-mini-2024-07-18", 150, 75, 600);
pub(crate) const GPT_41: &Model = &model("gpt-4.1-2025-04-14", 2_000, 500, 8_000);
pub(crate) const GPT_41_MINI: &Model = &model("gpt-4.1-mini-2025-04-14", 400, 100, 1_600);
pub(crate) const GPT_5: &Model = &model("gpt-5-2025-08-07", 1_250, 125, 10_000);
pub(crate) const GPT_5_MINI: &Model = &model("gpt-5-mini-2025-08-07", 250, 25, 2_000);
pub(crate) const O3: &Model = &model("o3-2025-04-16", 2_000, 500, 8_000);
pub(crate) const O4_MINI: &Model = &model("o4-mini-2025-04-16", 1_100, 275, 4_400);
/// A fine-tuned model; its name has colons and an empty part.
pub(crate) const FINE_TUNED: &Model =
    &model("ft:gpt-4o-mini-2024-07-18:sandbox::Bq7ZxK1d", 300, 150, 1_200);

impl Model {
    /// The rates; batch jobs pay half.
    pub(crate) const fn rates(&self, is_batch: bool) -> Rates {
        let share = if is_batch { 2 } else { 1 };
        Rates {
            input: discounted(self.input * 1_000_000) / share,
            cached_input: discounted(self.cached_input * 1_000_000) / share,
            output: discounted(self.output * 1_000_000) / share,
        }
    }
}

const fn model(name: &'static str, input: i128, cached_input: i128, output: i128) -> Model {
    Model { name, input, cached_input, output }
}

const fn discounted(list: i128) -> i128 {
    list - list / DISCOUNT
}
