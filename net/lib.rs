#![doc = include_str!("README.md")]
#![warn(missing_docs)]

//! ## Limits
//!
//! See [`HttpLimits`]: 10 s to connect, 60 s in all, 64 MiB of body after decompression.

mod address;
mod client;
mod error;
mod message;

pub use address::{AddressPolicy, is_public};
pub use client::{HttpClient, HttpLimits};
pub use error::{NetError, NetErrorKind};
pub use message::{HttpRequest, HttpResponse};
pub use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
