//! Where a parser's charges go.
//!
//! The parser lends each charge for the length of one call; a sink that keeps it copies what it
//! needs.

use std::error::Error;

use domain::{Charge, ProviderId};

/// The account that a charge belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeAccount<'a> {
    /// Who bills.
    pub provider: &'a ProviderId,
    /// The provider's own name of the account; `None` where neither the file nor its uploader says.
    pub account: Option<&'a str>,
}

/// Takes charges one by one.
pub trait ChargeSink {
    /// The file's other columns: those that no field of [`Charge`] holds. Called once, before any
    /// charge.
    ///
    /// # Errors
    /// [`SinkError`] ends the import.
    fn columns(&mut self, extra: &[String]) -> Result<(), SinkError>;

    /// One charge, with its values of the other columns in the order announced; `None` is null.
    ///
    /// # Errors
    /// [`SinkError`] ends the import.
    fn push(
        &mut self,
        account: &ChargeAccount<'_>,
        charge: &Charge<'_>,
        extra: &[Option<&str>],
    ) -> Result<(), SinkError>;
}

/// The sink could not take a charge, for reasons of its own.
#[derive(Debug, thiserror::Error)]
#[error("the charges could not be taken over")]
pub struct SinkError {
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl SinkError {
    /// A failure of the sink, with its cause.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> SinkError {
        SinkError { source: source.into() }
    }
}
