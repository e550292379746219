//! A JSON answer. Written into plain memory: axum's own writes through a shared buffer, piece by
//! piece, which takes several times as long.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// What most answers fit in.
const BYTES: usize = 1 << 10;

/// Plain data as the body of an answer.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(BYTES);
        serde_json::to_writer(&mut body, &self.0).expect("plain data with text keys is JSON");
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
            .into_response()
    }
}
