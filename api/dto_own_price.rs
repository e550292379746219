//! Own prices and services as plain data.

use prices::form::PriceForm;
use serde::Serialize;
use store::{
    StoreError,
    own_prices::{OwnPrice, OwnService},
};
use utoipa::ToSchema;

use crate::{dto_price_row::PriceRow, own_price_cache::form_of};

/// What a model, or every model that a pattern matches, costs by your own word.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnPriceView {
    /// Who sells it.
    service: String,
    /// A model's name, a pattern with `*`, or `*` for the whole service.
    model: String,
    /// Other exact names of the model.
    names: Vec<String>,
    /// The rows as they were put; decimals are strings.
    #[schema(value_type = Vec<PriceRow>)]
    price: Vec<PriceForm>,
    /// When it was last put with another content.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl TryFrom<OwnPrice> for OwnPriceView {
    type Error = StoreError;

    fn try_from(entry: OwnPrice) -> Result<OwnPriceView, StoreError> {
        let form = form_of(&entry)?;
        Ok(OwnPriceView {
            service: entry.service,
            model: entry.model,
            names: form.names,
            price: form.price,
            updated_at: entry.updated_at.to_string(),
        })
    }
}

/// A service of which you have prices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceView {
    /// Who sells.
    service: String,
    /// Whether it is a service of your own: the built-in catalogue has no prices of it.
    custom: bool,
    /// The rows for all its models that have no prices of their own; decimals are strings.
    #[schema(value_type = Vec<PriceRow>)]
    price: Vec<PriceForm>,
    /// How many models and patterns have prices of their own.
    model_count: u64,
    /// When the newest of its prices was put.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl ServiceView {
    /// A service; `has_built_in_prices` says whether the catalogue has it too.
    pub(crate) fn new(
        service: OwnService,
        has_built_in_prices: bool,
    ) -> Result<ServiceView, StoreError> {
        let form = service.whole.as_ref().map(form_of).transpose()?;
        Ok(ServiceView {
            service: service.service,
            custom: !has_built_in_prices,
            price: form.unwrap_or_default().price,
            model_count: service.model_count,
            updated_at: service.updated_at.to_string(),
        })
    }
}
