//! Uploads: a form, streamed into the spool, that becomes a file waiting for its import.
//!
//! The file's bytes are never held in memory, and nothing is stored unless the whole form is right.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        FromRequest, Multipart, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use domain::{
    FileId, FileState, ProviderId, UploadedFile,
    file::{FileOptions, FileReport, OnError},
};
use store::files::FileCreated;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Shared,
    auth::{Authorized, Caller, WriteBilling},
    dto_file::FileAccepted,
    error::{ApiError, Code, FieldError},
    extract::{media_type, pointer_of},
    idempotency::{Once, OnceHeader, Reply, digest},
    schemas,
    spool::{Spool, too_large},
    state::AppState,
};

/// After 24 hours the bytes of an upload without a file are swept, as those that a crash left.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(20 * 3600);
const FIELD_BYTES_MAX: usize = 4096;
const NAME_CHARS_MAX: usize = 200;
/// Room for the form's other fields and boundaries, when a request announces its length.
const FORM_BYTES_MAX: u64 = 64 << 10;

/// The form's fields.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form; it is read field by field")]
#[serde(deny_unknown_fields)]
struct UploadForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Bytes,
    /// Who bills, where the file does not say.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", nullable = false)]
    provider: Option<String>,
    /// The provider's account, where the file does not say.
    #[schema(max_length = 200, nullable = false)]
    account: Option<String>,
    /// `reject` (the default): one bad row refuses the file. `skip`: bad rows are left out and
    /// listed.
    #[schema(value_type = schemas::OnError, required = false)]
    on_error: Option<String>,
}

/// Uploads a billing file. The same bytes again are the same file.
#[utoipa::path(post, path = "/v1/files", tag = "billing",
    params(OnceHeader),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 202, description = "It waits for its import.", body = FileAccepted),
        (status = 200, description = "The same bytes came before.", body = FileAccepted)))]
pub(crate) async fn upload_file(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<WriteBilling>,
    once: Once,
    request: Request,
) -> Result<Response, ApiError> {
    let form = open_form(&state, request).await?;
    let id = FileId::from_uuid(state.new_bits()?);
    let spool = Spool::new(Arc::clone(&state.store), id, state.limits.upload_bytes_max);
    let read = read_form(form, spool, state.limits.upload_idle_timeout);
    let read = tokio::time::timeout(UPLOAD_TIME_MAX, read).await;
    let mut upload = read.map_err(|_| malformed("the upload took longer than 20 hours"))??;
    let sha256 = upload.spool.finish().await?;
    let body_sha256 = upload.digest(&sha256);
    let work = {
        let (state, caller) = (Arc::clone(&state), caller.clone());
        move |bits| store(state, caller, upload, sha256, bits)
    };
    once.run(&state, &caller, id.uuid(), body_sha256, work).await
}

async fn open_form(state: &Shared, request: Request) -> Result<Multipart, ApiError> {
    if media_type(request.headers()).as_deref() != Some("multipart/form-data") {
        let detail = "send the file as `multipart/form-data`, in the field `file`";
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let most = state.limits.upload_bytes_max;
    if length.is_some_and(|length| length > most.saturating_add(FORM_BYTES_MAX)) {
        return Err(too_large(most));
    }
    Multipart::from_request(request, state)
        .await
        .map_err(|_| malformed("the form's `boundary` is missing"))
}

/// A form that was read to its end.
struct Upload {
    spool: Spool,
    name: String,
    options: FileOptions,
}

impl Upload {
    /// Stands for everything that the client sent, whatever the form's boundary was.
    fn digest(&self, sha256: &[u8; 32]) -> [u8; 32] {
        let FileOptions { provider, account, on_error } = &self.options;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let skips = [u8::from(*on_error == OnError::Skip)];
        let (provider, account) = (text(provider), text(account));
        digest([sha256, self.name.as_bytes(), provider.as_bytes(), account.as_bytes(), &skips])
    }
}

async fn read_form(mut form: Multipart, spool: Spool, idle: Duration) -> Result<Upload, ApiError> {
    let mut upload = Upload { spool, name: String::new(), options: FileOptions::default() };
    let mut has_file = false;
    while let Some(mut field) = in_time(idle, form.next_field()).await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if std::mem::replace(&mut has_file, true) {
                return Err(FieldError::at("/file", "one file in each request").into());
            }
            upload.name = clean_name(field.file_name().unwrap_or_default());
            read_file(&mut field, &mut upload.spool, idle).await?;
        } else {
            let text = read_text(&mut field, &name, idle).await?;
            set_option(&mut upload.options, &name, text.trim())?;
        }
    }
    match has_file {
        true => Ok(upload),
        false => Err(FieldError::at("/file", "the form has no field `file`").into()),
    }
}

async fn read_file(
    field: &mut Field<'_>,
    spool: &mut Spool,
    idle: Duration,
) -> Result<(), ApiError> {
    while let Some(chunk) = in_time(idle, field.chunk()).await? {
        if spool.size_bytes() == 0 {
            refuse_other_types(&chunk)?;
        }
        spool.push(&chunk).await?;
    }
    Ok(())
}

async fn read_text(field: &mut Field<'_>, name: &str, idle: Duration) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(idle, field.chunk()).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > FIELD_BYTES_MAX {
            return Err(FieldError::at(pointer_of(name), "this field is too long").into());
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| FieldError::at(pointer_of(name), "this field is not UTF-8").into())
}

fn set_option(options: &mut FileOptions, name: &str, value: &str) -> Result<(), ApiError> {
    let pointer = || pointer_of(name);
    match name {
        // An empty field of a form is one that was not filled in.
        "provider" | "account" | "on_error" if value.is_empty() => {}
        "provider" => {
            let provider = ProviderId::parse(value);
            let provider =
                provider.map_err(|error| FieldError::at(pointer(), error.to_string()))?;
            options.provider = Some(provider.to_string());
        }
        "account" if value.chars().count() > 200 || value.contains(char::is_control) => {
            let detail = "`account` has 1 to 200 characters, none of control";
            return Err(FieldError::at(pointer(), detail).into());
        }
        "account" => options.account = Some(value.to_owned()),
        "on_error" => {
            options.on_error = match value {
                "reject" => OnError::Reject,
                "skip" => OnError::Skip,
                _ => {
                    let detail = "`on_error` is `reject` or `skip`";
                    return Err(FieldError::at(pointer(), detail).into());
                }
            }
        }
        "mapping" => {
            let detail =
                "mapping columns by hand is not built yet; `GET /v1/formats` lists what is read";
            return Err(FieldError::at(pointer(), detail).into());
        }
        _ => {
            let detail = "the form has `file`, `provider`, `account` and `on_error`";
            return Err(FieldError::at(pointer(), detail).unknown().into());
        }
    }
    Ok(())
}

/// Refuses what its first bytes show to be no table at all. Everything else is for the parsers to
/// judge.
fn refuse_other_types(head: &[u8]) -> Result<(), ApiError> {
    const BINARY: &[(&[u8], &str)] = &[
        (b"%PDF-", "a PDF"),
        (b"\x89PNG\r\n", "an image"),
        (b"\xff\xd8\xff", "an image"),
        (b"GIF8", "an image"),
        (b"\x7fELF", "a program"),
        (b"MZ\x90", "a program"),
    ];
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts_with = |tag: &str| {
        text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    };
    let is_html = starts_with("<!doctype html") || starts_with("<html");
    let binary = BINARY.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind);
    match binary.or(is_html.then_some("a web page")) {
        None => Ok(()),
        Some(kind) => {
            let detail = format!("this is {kind}: export the data itself, for instance as CSV");
            Err(ApiError::new(Code::UnsupportedMediaType, detail))
        }
    }
}

/// The last part of the name, without what could deceive a reader or a terminal; never used as a
/// path.
fn clean_name(name: &str) -> String {
    // Characters that turn the direction of text can make a name look like another.
    let is_deceptive = |letter: char| {
        let marks = ['\u{200e}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
        marks.iter().any(|range| range.contains(&letter))
    };
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = last.chars().filter(|letter| !letter.is_control() && !is_deceptive(*letter));
    let name: String = kept.take(NAME_CHARS_MAX).collect();
    match name.trim() {
        "" => "upload".to_owned(),
        name => name.to_owned(),
    }
}

async fn in_time<T>(
    idle: Duration,
    step: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(idle, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(malformed("the form ended before it was complete, or is damaged")),
        Err(_) => Err(malformed("no more of the form came in time")),
    }
}

fn malformed(detail: &'static str) -> ApiError {
    ApiError::new(Code::MalformedMultipart, detail)
}

/// Stores the file whose bytes are spooled. `bits` are the spool's own, or those of an earlier try
/// of the same request, which a crash cut off before or after it had stored its file.
async fn store(
    state: Shared,
    caller: Caller,
    upload: Upload,
    sha256: [u8; 32],
    bits: Uuid,
) -> Result<Reply, ApiError> {
    let Upload { spool, name, options } = upload;
    let (id, earlier, now) = (spool.file(), FileId::from_uuid(bits), state.now());
    if earlier != id {
        if let Some(file) = state.store.file(caller.organization, earlier).await? {
            return Ok(accepted(file.id, file.state));
        }
        discard(&state, earlier).await;
    }
    let file = UploadedFile {
        id,
        organization: caller.organization,
        name,
        size_bytes: spool.size_bytes(),
        sha256,
        options,
        state: FileState::Queued,
        bytes_parsed: 0,
        report: FileReport::default(),
        created_at: now,
        finished_at: None,
    };
    let event = caller.did("file.uploaded", id.to_string(), now);
    match state.store.create_file(&file, &event).await {
        Ok(FileCreated::Created) => {
            spool.keep();
            (state.wake)();
            Ok(accepted(id, FileState::Queued))
        }
        Ok(FileCreated::Duplicate(first)) => {
            let (id, state) = (first.id.to_string(), first.state.as_str());
            let accepted = FileAccepted { id, state, duplicate: Some(true) };
            Ok(Reply::json(StatusCode::OK, &accepted))
        }
        Err(error) => {
            // Where the file may have been stored, its bytes must stay.
            if !error.is_certainly_aborted() {
                spool.keep();
            }
            Err(ApiError::of_write(error))
        }
    }
}

async fn discard(state: &AppState, file: FileId) {
    if let Err(error) = state.store.spool_delete(file).await {
        tracing::warn!(file.id = %file, %error, "could not remove an earlier upload's bytes");
    }
}

fn accepted(id: FileId, state: FileState) -> Reply {
    let accepted = FileAccepted { id: id.to_string(), state: state.as_str(), duplicate: None };
    Reply::json(StatusCode::ACCEPTED, &accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_cut() {
        for (name, clean) in [
            ("../../etc/x.csv", "x.csv"),
            ("C:\\bills\\may.csv", "may.csv"),
            ("a\0\u{1b}[31m.csv", "a[31m.csv"),
            ("\u{202e}vsc.exe", "vsc.exe"),
            ("", "upload"),
            ("../", "upload"),
        ] {
            assert_eq!(clean_name(name), clean);
        }
        assert_eq!(clean_name(&"ä".repeat(5000)).chars().count(), 200);
    }

    #[test]
    fn what_is_no_table_is_refused_by_its_first_bytes() {
        for head in ["%PDF-1.7", "\u{feff}  <!DOCTYPE HTML><html>", "<HTML>"] {
            assert!(refuse_other_types(head.as_bytes()).is_err(), "{head}");
        }
        for head in ["BilledCost,BillingCurrency\n", "{\"a\":1}", "PK\u{3}\u{4}", "", "<"] {
            assert!(refuse_other_types(head.as_bytes()).is_ok(), "{head}");
        }
    }
}
