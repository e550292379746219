//! The OpenAPI 3.1 document: what the registered routes say of themselves, and what all of them
//! share.

use utoipa::{
    OpenApi as _, PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
        Response, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    amount::Amount,
    dto_decision::{DecisionNumbers, DecisionView},
    error::{Code, FieldError, PROBLEM_JSON, Problem},
};

const KEY: &str = "api_key";

/// What stands before the routes: title, security, and the problem document that any of them may
/// answer.
pub(crate) fn preface() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Outlay")
        .description(Some("What AI APIs really cost, and whether the next call may still be made."))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key: `outlay_live_…` or `outlay_test_…`."))
        .build();
    let mut components = Components::new();
    components.add_security_scheme(KEY, SecurityScheme::Http(key));
    for (name, schema) in [
        (Problem::name(), Problem::schema()),
        (FieldError::name(), FieldError::schema()),
        (Code::name(), Code::schema()),
        (DecisionView::name(), DecisionView::schema()),
        (DecisionNumbers::name(), DecisionNumbers::schema()),
        (Amount::name(), Amount::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(KEY, Vec::<String>::new())]))
        .build()
        .merge_from(crate::paths::SuffixedOperations::openapi())
}

/// The finished document.
pub(crate) fn document(mut openapi: OpenApi) -> String {
    // The router's word for "with slashes" is none of OpenAPI's.
    let paths = std::mem::take(&mut openapi.paths.paths);
    openapi.paths.paths =
        paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for item in openapi.paths.paths.values_mut() {
        for operation in operations(item) {
            for (status, response) in &mut operation.responses.responses {
                describe(status, response);
            }
            let problem = ResponseBuilder::new()
                .description("A problem document (RFC 9457).")
                .content(
                    PROBLEM_JSON,
                    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build(),
                )
                .build();
            operation.responses.responses.insert("default".to_owned(), problem.into());
        }
    }
    let mut text = openapi.to_pretty_json().expect("the document has only string keys");
    text.push('\n');
    text
}

/// OpenAPI wants words for every answer; most need none of their own.
/// <https://spec.openapis.org/oas/v3.1.0#response-object>
fn describe(status: &str, response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response
        && response.description.is_empty()
    {
        let text = match status {
            "201" => "It was made.",
            "202" => "It will be done.",
            "204" => "It is gone.",
            _ => "Here it is.",
        };
        response.description = text.to_owned();
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .flatten()
}
