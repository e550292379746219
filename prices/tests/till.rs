//! A small catalogue of one's own making, and a way to ask it for prices in one line.

use domain::{RateContext, Usage};
use prices::{Call, Catalogue, Estimate, OwnPrices, Status, form::SellerForm};

/// A catalogue of sellers in TOML, with what every row of a catalogue needs filled in.
pub(crate) fn catalogue(sellers: &[&str]) -> Catalogue {
    let forms: Vec<SellerForm> = sellers
        .iter()
        .map(|text| {
            let mut form: SellerForm = toml::from_str(text).expect("a test's TOML is TOML");
            for price in form.model.iter_mut().flat_map(|model| &mut model.price) {
                price.confidence.get_or_insert_with(|| "single".to_owned());
            }
            form
        })
        .collect();
    Catalogue::from_forms(&forms).expect("a test's catalogue is one")
}

/// What a call is, in a test.
#[derive(Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) service: &'a str,
    pub(crate) model: &'a str,
    pub(crate) usage: Usage,
    pub(crate) context: RateContext,
    pub(crate) beyond: Vec<&'a str>,
    pub(crate) at: &'a str,
}

pub(crate) fn ask<'a>(service: &'a str, model: &'a str, usage: Usage) -> Asked<'a> {
    let (context, beyond) = (RateContext::default(), vec![]);
    Asked { service, model, usage, context, beyond, at: "2026-11-20T12:00:00Z" }
}

impl<'a> Asked<'a> {
    pub(crate) fn at(mut self, at: &'a str) -> Self {
        self.at = at;
        self
    }

    pub(crate) fn context(mut self, change: impl FnOnce(&mut RateContext)) -> Self {
        change(&mut self.context);
        self
    }

    pub(crate) fn of<'c>(&self, catalogue: &'c Catalogue) -> Estimate<'c> {
        self.with(catalogue, &[])
    }

    pub(crate) fn with<'c>(&self, catalogue: &'c Catalogue, own: &[&'c OwnPrices]) -> Estimate<'c> {
        let call = Call {
            service: self.service,
            model: self.model,
            usage: &self.usage,
            context: &self.context,
            beyond: &self.beyond,
            at: self.at.parse().expect("a test's instant is one"),
        };
        catalogue.estimate(own, &call).expect("a test's usage adds up")
    }
}

pub(crate) fn tokens(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

/// The cost of something that is priced wholly.
#[track_caller]
pub(crate) fn cost(estimate: &Estimate<'_>) -> String {
    assert_eq!(estimate.status, Status::Priced, "missing: {:?}", missing(estimate));
    estimate.cost.expect("what is priced has a cost").to_string()
}

/// The cost of something that is priced in part, and what is missing.
#[track_caller]
pub(crate) fn partial(estimate: &Estimate<'_>) -> (String, Vec<String>) {
    assert_eq!(estimate.status, Status::Partial, "missing: {:?}", missing(estimate));
    (estimate.cost.expect("a part has a cost").to_string(), missing(estimate))
}

/// What is missing from something that has no cost.
#[track_caller]
pub(crate) fn unpriced(estimate: &Estimate<'_>) -> Vec<String> {
    assert_eq!(estimate.status, Status::Unpriced);
    assert_eq!(estimate.cost, None, "what is unpriced has no cost, not even zero");
    missing(estimate)
}

pub(crate) fn missing(estimate: &Estimate<'_>) -> Vec<String> {
    estimate.missing.iter().map(ToString::to_string).collect()
}

pub(crate) fn notes(estimate: &Estimate<'_>) -> Vec<String> {
    estimate.notes.iter().map(ToString::to_string).collect()
}

/// Lines as `unit quantity cost`.
pub(crate) fn lines(estimate: &Estimate<'_>) -> Vec<String> {
    let line = |line: &prices::Line<'_>| format!("{} {} {}", line.unit, line.quantity, line.cost);
    estimate.lines.iter().map(line).collect()
}
