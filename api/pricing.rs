//! What a call costs, for whoever asks: estimates, reports, reservations and commits price alike.
//!
//! The model that the response names goes before the one that was asked for, own prices before the
//! operator's, and those before the catalogue's.

use std::sync::Arc;

use domain::{Currency, RateContext, Service, Usage};
use jiff::Timestamp;
use prices::{Call, Estimate, EstimateError, Missing, OwnPrices, Status};

use crate::{
    auth::Caller,
    error::{ApiError, FieldError},
    extract::pointer_of,
    own_price_cache::OwnBook,
    own_prices::owner,
    state::AppState,
};

/// Everything that a caller's calls are priced by.
pub(crate) struct Books {
    /// The catalogue.
    pub(crate) catalogue: Arc<prices::Catalogue>,
    operator: Arc<OwnPrices>,
    own: Arc<OwnBook>,
}

impl Books {
    /// The books of a caller, as they are now.
    pub(crate) async fn of(state: &AppState, caller: &Caller) -> Result<Books, ApiError> {
        Ok(Books {
            catalogue: Arc::clone(&state.prices),
            operator: Arc::clone(&state.operator_prices),
            own: state.own_prices.book(state, owner(caller)).await?,
        })
    }

    /// The books of a caller as they were within the last second, for what is on the way of every
    /// call.
    pub(crate) async fn recent(state: &AppState, caller: &Caller) -> Result<Books, ApiError> {
        Ok(Books {
            catalogue: Arc::clone(&state.prices),
            operator: Arc::clone(&state.operator_prices),
            own: state.own_prices.recent_book(state, owner(caller)).await?,
        })
    }

    /// Whether the catalogue does not have the service: it is one of the caller's own, or unknown.
    pub(crate) fn is_custom(&self, service: &str) -> bool {
        self.catalogue.seller(service).is_none()
    }

    /// The canonical name of a model, or the name itself where nobody knows it.
    pub(crate) fn canonical(&self, service: &str, model: &str, at: Timestamp) -> String {
        let found = self.catalogue.resolve(service, model, at);
        found.map_or_else(|| model.to_owned(), |found| found.model.id.clone())
    }

    /// Whether nobody knows a price of the model at all, whatever it consumes.
    pub(crate) fn has_no_price(&self, service: &Service, model: &str, at: Timestamp) -> bool {
        let (usage, context) = (Usage::default(), RateContext::default());
        let service = service.as_str();
        let call = Call { service, model, usage: &usage, context: &context, beyond: &[], at };
        !self.catalogue.has_price(&self.own(), &call)
    }

    fn own(&self) -> [&OwnPrices; 2] {
        [&self.own.prices, &self.operator]
    }
}

/// A call in which everything is right.
pub(crate) struct AskedPrice {
    pub(crate) service: Service,
    /// As the request names it; empty where nobody says.
    pub(crate) model: String,
    /// As the response names it.
    pub(crate) answered_model: Option<String>,
    pub(crate) usage: Usage,
    /// Where the usage stands in the body.
    pub(crate) usage_place: &'static str,
    pub(crate) context: RateContext,
    pub(crate) beyond: Vec<&'static str>,
    pub(crate) at: Timestamp,
}

/// A price, and what it was found by.
pub(crate) struct PricedCall<'a> {
    /// The price.
    pub(crate) estimate: Estimate<'a>,
    /// The model that was priced, as it was sent.
    pub(crate) model: &'a str,
    /// Its canonical name, where the catalogue knows one.
    pub(crate) canonical: Option<&'a str>,
    /// What people should know about which model it was.
    pub(crate) notes: Vec<String>,
}

impl AskedPrice {
    /// The price by the model that the response names, or else by the one that was asked for.
    pub(crate) fn priced<'a>(&'a self, books: &'a Books) -> Result<PricedCall<'a>, FieldError> {
        let mut notes = vec![];
        let own = books.own();
        let mut model = self.first_model(&own);
        let mut estimate = self.estimate(books, model)?;
        if model != self.model && !self.model.is_empty() {
            if is_unknown(&estimate) {
                notes.push(format!("the response names `{model}`, which has no price here"));
                model = &self.model;
                estimate = self.estimate(books, model)?;
            } else {
                notes.push(format!("priced as `{model}`, which the response names"));
            }
        }
        let found = books.catalogue.resolve(self.service.as_str(), model, self.at);
        let canonical = found.map(|found| found.model.id.as_str());
        Ok(PricedCall { estimate, model, canonical, notes })
    }

    /// The response's model goes before the request's, unless only the latter has a price of one's
    /// own by its exact name, as a deployment has.
    fn first_model<'a>(&'a self, own: &[&OwnPrices]) -> &'a str {
        let Some(answered) = &self.answered_model else { return &self.model };
        let has_own_price = |name: &str| {
            own.iter().any(|own| {
                let found = own.rated(self.service.as_str(), name, None, self.at);
                found.is_some_and(|(_, model)| {
                    model.id == name || model.names.iter().any(|other| other == name)
                })
            })
        };
        match has_own_price(&self.model) && !has_own_price(answered) {
            true => &self.model,
            false => answered,
        }
    }

    fn estimate<'a>(&self, books: &'a Books, model: &str) -> Result<Estimate<'a>, FieldError> {
        let call = Call {
            service: self.service.as_str(),
            model,
            usage: &self.usage,
            context: &self.context,
            beyond: &self.beyond,
            at: self.at,
        };
        books.catalogue.estimate(&books.own(), &call).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &EstimateError) -> FieldError {
        let (place, detail) = (self.usage_place, error.to_string());
        // In a provider's own block our words have no place.
        let at = |unit: &str| match place {
            "/usage" => format!("{place}{}", pointer_of(unit)),
            _ => place.to_owned(),
        };
        match error {
            EstimateError::Usage(wrong) => FieldError::at(at(wrong.unit()), detail).inconsistent(),
            EstimateError::WholeNotSaid { part, .. } => {
                FieldError::at(at(part), detail).inconsistent()
            }
            EstimateError::OutOfRange => FieldError::at(place, detail),
        }
    }
}

impl PricedCall<'_> {
    /// Femtodollars, and whether they are the whole. What is priced in another currency has no
    /// price in dollars, since nobody said at which rate.
    pub(crate) fn dollars(&self) -> (i128, bool) {
        let dollars = self.estimate.cost.filter(|cost| cost.currency() == Currency::USD);
        let is_whole = dollars.is_some() && self.estimate.status == Status::Priced;
        (dollars.map_or(0, |cost| cost.femtos()), is_whole)
    }

    /// The name by which policies know the model.
    pub(crate) fn model_name(&self) -> &str {
        self.canonical.unwrap_or(self.model)
    }
}

/// Whether nobody knows the model or its seller.
pub(crate) fn is_unknown(estimate: &Estimate<'_>) -> bool {
    estimate.missing.iter().any(|missing| matches!(missing, Missing::Model | Missing::Service))
}
