//! The page at `/`: summaries of the stored events in one document, live, and each table as CSV and JSON.
//!
//! A request asks for summaries only and is rendered on another thread than the collector's.

mod breakdown;
mod charts;
mod details;
mod document;
mod export;
mod live;
mod overview;
#[cfg(test)]
mod palette;
mod report;
mod selection;
mod table;
mod units;

use std::{collections::BTreeMap, fmt::Display, net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use serde::Serialize;
use uuid::Uuid;

use self::{document::Frame, report::Report, selection::Selection, table::Table};
use crate::{
    reply::Reply,
    routes::{self, ApiResponse},
    shared::{Shared, unix_millis},
    store::Store,
};

pub(crate) use self::live::Live;

/// The prefix of the paths beside `/`.
const PREFIX: &str = "/page/";

const HTML: &str = "text/html; charset=utf-8";
const CSV: &str = "text/csv; charset=utf-8; header=present";
const JSON: &str = "application/json";

/// True for a request that this module responds to: a path below `/page/`, or `GET /` of a client that accepts HTML.
pub(crate) fn is_for(head: &Parts) -> bool {
    let accepts_html = || {
        let accept = head.headers.get_all(header::ACCEPT).iter();
        accept.filter_map(|it| it.to_str().ok()).any(|it| it.contains("text/html"))
    };
    match head.uri.path() {
        "/" => head.method == Method::GET && accepts_html(),
        path => path.starts_with(PREFIX),
    }
}

/// The resource of a path.
enum Target<'p> {
    Document,
    Live,
    /// The name of a table, and its format.
    Table(&'p str, Format),
}

/// A table as JSON.
#[derive(Serialize)]
struct JsonTable<'t> {
    table: &'t str,
    filter: BTreeMap<&'t str, String>,
    rows: Table,
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Csv,
    Json,
}

/// Responds to a request of [`is_for`].
pub(crate) async fn respond(shared: &Arc<Shared>, head: &Parts) -> Reply {
    let nonce = Uuid::new_v4().simple().to_string();
    let reply = match check(shared, head) {
        Ok(Target::Live) => listen(shared),
        Ok(Target::Document) => rendered(shared, head, &nonce, None).await,
        Ok(Target::Table(name, format)) => {
            rendered(shared, head, &nonce, Some((name.to_owned(), format))).await
        }
        Err(refusal) => Err(refusal),
    };
    let mut reply = reply.unwrap_or_else(Reply::from);
    secure(&mut reply.parts.headers, &nonce);
    reply
}

/// The target of a request that may be answered.
fn check<'h>(shared: &Shared, head: &'h Parts) -> Result<Target<'h>, ApiResponse> {
    if head.method != Method::GET {
        let error = "expected the method GET";
        return Err(ApiResponse::error(StatusCode::METHOD_NOT_ALLOWED, error)
            .with_header(header::ALLOW, HeaderValue::from_static("GET")));
    }
    // Another site could otherwise read the page, under one of its names that resolves to 127.0.0.1.
    if !shared.trusts_any_host() && !is_loopback(&head.headers) {
        let error = "expected 127.0.0.1, localhost or [::1] in the header `host`: the page is shown under the names \
                     of this machine only";
        return Err(ApiResponse::error(StatusCode::FORBIDDEN, error));
    }
    if !shared.may_read(&head.headers) {
        return Err(routes::unauthorized());
    }
    target(head.uri.path()).ok_or_else(|| {
        let error = format!(
            "no such path; there are /, /page/live, and /page/NAME.csv and /page/NAME.json for the tables {}",
            export::NAMES.join(", ")
        );
        ApiResponse::error(StatusCode::NOT_FOUND, error)
    })
}

fn target(path: &str) -> Option<Target<'_>> {
    if path == "/" {
        return Some(Target::Document);
    }
    let name = path.strip_prefix(PREFIX)?;
    if name.is_empty() {
        return Some(Target::Document);
    }
    if name == "live" {
        return Some(Target::Live);
    }
    let (name, extension) = name.split_once('.')?;
    let format = match extension {
        "csv" => Format::Csv,
        "json" => Format::Json,
        _ => return None,
    };
    export::NAMES.contains(&name).then_some(Target::Table(name, format))
}

/// True if the `host` is a name of this machine, with or without a port.
fn is_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|it| it.parse::<http::uri::Authority>().ok())
    else {
        return false;
    };
    let host = host.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn secure(headers: &mut HeaderMap, nonce: &str) {
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn listen(shared: &Shared) -> Result<Reply, ApiResponse> {
    let messages = shared.live.listen().ok_or_else(|| {
        let error =
            format!("expected at most {} pages that are kept up to date", live::MAX_LISTENERS);
        ApiResponse::error(StatusCode::SERVICE_UNAVAILABLE, error)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
    })?;
    let reply = reply(StatusCode::OK, "text/event-stream", Bytes::new());
    Ok(Reply { stream: Some(messages.boxed_unsync()), ..reply })
}

/// The document, or a table, of the selection in the query.
async fn rendered(
    shared: &Arc<Shared>,
    head: &Parts,
    nonce: &str,
    table: Option<(String, Format)>,
) -> Result<Reply, ApiResponse> {
    let host = head.headers.get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let frame = Frame {
        nonce: nonce.to_owned(),
        version: shared.live.version(),
        now: unix_millis(),
        url: format!("{}://{host}", shared.scheme()),
    };
    let selection = match Selection::parse(head.uri.query().unwrap_or_default()) {
        Ok(selection) => selection,
        Err(errors) if table.is_some() => {
            return Err(ApiResponse::error(StatusCode::BAD_REQUEST, errors.join("; ")));
        }
        Err(errors) => {
            let html = document::error(&frame, "These filters are not valid", &errors);
            let reply = reply(StatusCode::BAD_REQUEST, HTML, html);
            return Ok(Reply { reason: errors.join("; "), ..reply });
        }
    };
    // The semaphore is never closed.
    let _permit = shared.live.renders.acquire().await.map_err(|error| unavailable(&error))?;
    let shared = Arc::clone(shared);
    let render = move || match table {
        None => page(&shared, &frame, &selection),
        Some((name, format)) => export(&shared, &name, format, &selection),
    };
    match tokio::task::spawn_blocking(render).await {
        Ok(result) => result.map_err(|error| unavailable(&error)),
        Err(panic) => Err(ApiResponse::error(StatusCode::INTERNAL_SERVER_ERROR, panic.to_string())),
    }
}

fn page(shared: &Shared, frame: &Frame, selection: &Selection) -> Result<Reply, String> {
    let totals = shared.read(Store::totals);
    let predict = |query: &_| shared.predict(query);
    let memory = shared.memory_views();
    let report = Report::gather(shared.views(&memory), predict, totals, selection);
    let report = report.map_err(|error| error.to_string())?;
    Ok(reply(StatusCode::OK, HTML, document::page(frame, &report, selection)))
}

fn export(
    shared: &Shared,
    name: &str,
    format: Format,
    selection: &Selection,
) -> Result<Reply, String> {
    let predict = |query: &_| shared.predict(query);
    let memory = shared.memory_views();
    let table = export::table(name, shared.views(&memory), predict, &selection.filter);
    let table = table.map_err(|error| error.to_string())?.ok_or("no such table")?;
    let (kind, extension, bytes) = match format {
        Format::Csv => (CSV, "csv", table.csv().map_err(|error| error.to_string())?),
        Format::Json => {
            let filter = selection.pairs().into_iter();
            let document = JsonTable {
                table: name,
                filter: filter.filter_map(|(name, value)| Some((name, value?))).collect(),
                rows: table,
            };
            let json = serde_json::to_vec(&document).map_err(|error| error.to_string())?;
            (JSON, "json", json)
        }
    };
    let mut reply = reply(StatusCode::OK, kind, bytes);
    let disposition = format!("inline; filename=\"telemetry-{name}.{extension}\"");
    if let Ok(value) = HeaderValue::try_from(disposition) {
        reply.parts.headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(reply)
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let (parts, ()) = response.into_parts();
    Reply { parts, body: body.into(), stream: None, reason: String::new() }
}

fn unavailable(error: &impl Display) -> ApiResponse {
    let error = format!("failed to read the stored events: {error}");
    ApiResponse::error(StatusCode::SERVICE_UNAVAILABLE, error)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
}
