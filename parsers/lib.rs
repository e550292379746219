#![doc = include_str!("README.md")]
#![warn(missing_docs)]
//!
//! ```
//! use parsers::{ParseOptions, Parser};
//! # struct Sum;
//! # impl parsers::ChargeSink for Sum {
//! #     fn columns(&mut self, _: &[String]) -> Result<(), parsers::SinkError> { Ok(()) }
//! #     fn push(
//! #         &mut self,
//! #         _: &parsers::ChargeAccount<'_>,
//! #         _: &domain::Charge<'_>,
//! #         _: &[Option<&str>],
//! #     ) -> Result<(), parsers::SinkError> { Ok(()) }
//! # }
//! let file = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ServiceName,ProviderName,\
//!             ChargePeriodStart,ChargePeriodEnd\n\
//!             0.1,0.1,USD,Usage,OpenAI API,OpenAI,2026-05-03T00:00:00Z,2026-05-04T00:00:00Z\n";
//! let parser = parsers::detect("may.csv", file.as_bytes())?;
//! assert_eq!(parser.descriptor().id, "focus");
//! let options = ParseOptions::new("2026-06-01T00:00:00Z".parse().unwrap());
//! let report = parser.parse(&mut file.as_bytes(), &options, &mut Sum)?;
//! assert_eq!(report.totals[0].billed_cost.to_string(), "0.1");
//! # Ok::<(), parsers::ParseError>(())
//! ```

mod amounts;
mod csv_input;
mod dates;
mod encoding;
mod error;
mod focus;
mod masking;
mod parser;
mod registry;
mod report;
mod sink;

pub use error::ParseError;
pub use parser::{Confidence, HEAD_BYTES, Limits, ParseOptions, Parser};
pub use registry::{REGISTRY, detect};
pub use report::{ParseReport, Skipped};
pub use sink::{ChargeAccount, ChargeSink, SinkError};
