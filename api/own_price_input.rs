//! What people send about their own prices, and what of it is right.
//!
//! Figures are checked by the prices room, which says what is wrong and where; names and what an
//! entry may do beside its neighbours are checked here.

use std::collections::BTreeMap;

use domain::Service;
use prices::Origin;
use serde::de::IgnoredAny;
use store::own_prices::WHOLE_SERVICE;

use crate::{
    dto_price_row::{ModelPrices, ServicePrices},
    error::{ApiError, Code, FieldError},
    extract::{json, pointer_of},
    own_price_cache::OwnBook,
    state::AppState,
};

/// Bytes of an entry in its stored form.
const ENTRY_BYTES_MAX: usize = 64 << 10;
const NAME_BYTES_MAX: usize = 256;

/// Which entry a request is about.
#[derive(Debug, Clone)]
pub(crate) struct EntryName {
    /// Service.
    pub(crate) service: Service,
    /// A model's name, a pattern, or `*`.
    pub(crate) model: String,
}

impl EntryName {
    /// The names in an address that somebody reads or deletes; what is no name names nothing.
    pub(crate) fn find(service: &str, model: &str) -> Result<EntryName, ApiError> {
        let service = find_service(service)?;
        match is_name(model) {
            true => Ok(EntryName { service, model: model.to_owned() }),
            false => Err(ApiError::not_found()),
        }
    }

    /// The names in an address under which somebody puts an entry.
    pub(crate) fn check(service: &str, model: &str) -> Result<EntryName, ApiError> {
        let service = Service::parse(service)
            .map_err(|error| FieldError::parameter("service", error.to_string()))?;
        match is_name(model) {
            true => Ok(EntryName { service, model: model.to_owned() }),
            false => {
                let detail = "`model` has 1 to 256 bytes, no space around it and none of control";
                Err(FieldError::parameter("model", detail).into())
            }
        }
    }

    /// The entry's place in the audit log.
    pub(crate) fn target(&self) -> String {
        match self.is_whole_service() {
            true => self.service.to_string(),
            false => format!("{}/{}", self.service, self.model),
        }
    }

    fn is_pattern(&self) -> bool {
        self.model.contains('*')
    }

    fn is_whole_service(&self) -> bool {
        self.model == WHOLE_SERVICE
    }
}

/// The service in an address that somebody reads or deletes.
pub(crate) fn find_service(service: &str) -> Result<Service, ApiError> {
    Service::parse(service).map_err(|_| ApiError::not_found())
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.trim() == name
        && !name.contains(char::is_control)
}

/// An entry as it is stored, from the body of `PUT /v1/services/{service}/models/{model}`.
pub(crate) fn read_model(
    state: &AppState,
    book: &OwnBook,
    name: &EntryName,
    body: &[u8],
) -> Result<String, ApiError> {
    let prices: ModelPrices = json(body)?;
    let place = price_place(body);
    if prices.price.is_empty() {
        let detail = "say at least one row; to take own prices back, delete them";
        return Err(FieldError::at(place, detail).into());
    }
    checked(state, book, name, &prices, place)
}

/// An entry as it is stored, from the body of `PUT /v1/services/{service}`.
pub(crate) fn read_service(
    state: &AppState,
    book: &OwnBook,
    name: &EntryName,
    body: &[u8],
) -> Result<String, ApiError> {
    let prices: ServicePrices = json(body)?;
    checked(state, book, name, &prices.into(), price_place(body))
}

/// Where the rows stand in a body, which has two names for them.
fn price_place(body: &[u8]) -> &'static str {
    let keys = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(body).unwrap_or_default();
    if keys.contains_key("prices") { "/prices" } else { "/price" }
}

fn checked(
    state: &AppState,
    book: &OwnBook,
    name: &EntryName,
    prices: &ModelPrices,
    place: &str,
) -> Result<String, ApiError> {
    let mut errors = vec![];
    check_names(book, name, prices, &mut errors);
    check_rows(state, name, prices, place, &mut errors);
    let form = prices.form(&name.model);
    for problem in prices::read_model(&form, Origin::Own).err().unwrap_or_default() {
        let pointer = match problem.pointer.strip_prefix("/price") {
            Some(rest) => format!("{place}{rest}"),
            None => problem.pointer,
        };
        errors.push(FieldError::at(pointer, problem.detail));
    }
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let text = serde_json::to_string(&form).expect("a form is plain data");
    match text.len() <= ENTRY_BYTES_MAX {
        true => Ok(text),
        false => {
            let detail = format!("an entry may have {ENTRY_BYTES_MAX} bytes: say fewer rows");
            Err(ApiError::new(Code::PayloadTooLarge, detail))
        }
    }
}

/// Each name means one model of the service.
fn check_names(
    book: &OwnBook,
    name: &EntryName,
    prices: &ModelPrices,
    errors: &mut Vec<FieldError>,
) {
    if let Some(owner) = book.owner(name.service.as_str(), &name.model, &name.model) {
        let detail = format!("`{}` is a name of `{owner}` already", name.model);
        errors.push(FieldError::parameter("model", detail));
    }
    if name.is_pattern() && !prices.names.is_empty() {
        errors.push(FieldError::at("/names", "a pattern has no other names"));
        return;
    }
    for (index, other) in prices.names.iter().enumerate() {
        let pointer = format!("/names/{index}");
        if other.contains('*') || other.contains(char::is_control) {
            errors.push(FieldError::at(pointer, "other names are exact: no `*`, none of control"));
        } else if *other == name.model || prices.names[..index].contains(other) {
            errors.push(FieldError::at(pointer, "this name is said twice"));
        } else if let Some(owner) = book.owner(name.service.as_str(), other, &name.model) {
            let detail = format!("`{other}` is a name of `{owner}` already");
            errors.push(FieldError::at(pointer, detail));
        }
    }
}

/// What rows may not say, though prices could be read from it.
fn check_rows(
    state: &AppState,
    name: &EntryName,
    prices: &ModelPrices,
    place: &str,
    errors: &mut Vec<FieldError>,
) {
    let has_built_in_prices = state.prices.seller(name.service.as_str()).is_some();
    for (index, row) in prices.price.iter().enumerate() {
        if row.is_adjustment() && !has_built_in_prices {
            let service = &name.service;
            let detail = format!("`{service}` has no built-in price to be adjusted: say rates");
            errors.push(FieldError::at(format!("{place}/{index}"), detail));
        }
        for unit in row.custom_units().filter(|unit| !is_unit(unit)) {
            let pointer = format!("{place}/{index}/custom{}", pointer_of(unit));
            let detail = "a unit has 1 to 64 letters, digits, `.`, `_` and `-`, without `custom:`";
            errors.push(FieldError::at(pointer, detail));
        }
    }
}

/// Whether this can be the name of a custom unit.
pub(crate) fn is_unit(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}
