//! Bodies of responses: receipts, and the reasons of refusals.
//!
//! Bodies are read as far as possible, in memory proportional to their size: servers and gateways differ
//! in their formats, and a body may break off.

use std::{borrow::Cow, fmt};

use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use telemetry_model::BatchReceipt;
use telemetry_transport::Response;

use crate::redact::excerpt;

/// Maximum number of items of an array in a reason.
const MAX_ITEMS: usize = 8;

/// Returns `true` unless the body is empty, JSON, the start of JSON that broke off, or an object with a key
/// in double quotes, alone or first in an array: it does not come from the API.
pub(crate) fn is_foreign(response: &Response) -> bool {
    is_foreign_text(&text(response.body()))
}

/// Reads the receipt of a successful response: an empty one for an empty body, `None` if the body is
/// not understood.
pub(crate) fn receipt(body: &[u8]) -> Option<BatchReceipt> {
    let text = text(body);
    match text.trim_start().chars().next() {
        None => Some(BatchReceipt::default()),
        Some('[') => understood(&format!("{{\"results\":{text}}}")),
        Some('{') => {
            let nested = || serde_json::from_str(&text).ok().and_then(|Nested(receipt)| receipt);
            understood(&text).or_else(nested)
        }
        Some(_) => None,
    }
}

/// Returns the reason why a response does not accept the request, on one line, redacted and cut after
/// 200 characters. `None` for an empty body.
pub(crate) fn reason(response: &Response) -> Option<String> {
    let text = text(response.body());
    let reason = if !response.status().is_success() {
        problem(&text)
    } else if is_foreign_text(&text) {
        format!("expected JSON, found {}", text.trim_start())
    } else {
        let results = receipt(response.body()).unwrap_or_default().results;
        let error = results.into_iter().find_map(|result| result.error);
        error.unwrap_or_else(|| text.clone().into_owned())
    };
    Some(excerpt(&reason)).filter(|reason| !reason.trim().is_empty())
}

/// Writes a status and the [`reason`] given with it.
pub(crate) fn write_refusal(
    f: &mut fmt::Formatter<'_>,
    status: StatusCode,
    reason: Option<&str>,
) -> fmt::Result {
    write!(f, "the server answered {status}")?;
    reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
}

/// The start of a body on one line, redacted.
pub(crate) fn body_excerpt(response: &Response) -> String {
    excerpt(&text(response.body()))
}

/// Decodes a body: UTF-8, with or without a byte order mark, otherwise Latin-1.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        // The end may be that of a cut character.
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(body),
        Err(_) => body.iter().copied().map(char::from).collect(),
    }
}

fn is_foreign_text(text: &str) -> bool {
    let text = text.trim_start();
    let is_json = || match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    };
    // Some APIs write what is nearly JSON: NaN, a comma too many, a second value.
    let first = text.strip_prefix('[').unwrap_or(text).trim_start();
    let has_key = first.strip_prefix('{').is_some_and(|it| it.trim_start().starts_with('"'));
    !text.is_empty() && !has_key && !is_json()
}

fn understood(json: &str) -> Option<BatchReceipt> {
    let receipt: BatchReceipt = serde_json::from_str(json).ok()?;
    let BatchReceipt { accepted, rejected, results, .. } = &receipt;
    let is_receipt = accepted.is_some() || rejected.is_some() || !results.is_empty();
    is_receipt.then_some(receipt)
}

/// The reason in the body of an error: FastAPI's and problem+json's `detail`, the keys of other
/// frameworks, or the text itself.
fn problem(text: &str) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problem<'a> {
        #[serde(borrow)]
        detail: Option<&'a RawValue>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        title: Option<&'a RawValue>,
    }
    let Problem { detail, message, error, title } = serde_json::from_str(text).unwrap_or_default();
    let mut reasons = [detail, message, error, title].into_iter().flatten().filter_map(described);
    reasons.next().unwrap_or_else(|| text.to_owned())
}

/// A reason as text: a string, a validation error with its place, or a list of these. `None` if it is
/// empty or of another type.
fn described(value: &RawValue) -> Option<String> {
    let reason = if value.get().starts_with('[') {
        items(value).into_iter().filter_map(described_item).collect::<Vec<_>>().join("; ")
    } else {
        described_item(value)?
    };
    Some(reason).filter(|reason| !reason.trim().is_empty())
}

// Does not look into lists in a list: recursion would cost a stack frame a level.
fn described_item(value: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Error<'a> {
        #[serde(borrow)]
        loc: Option<&'a RawValue>,
        #[serde(alias = "message", alias = "detail")]
        msg: String,
    }
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' => {
            let Error { loc, msg } = serde_json::from_str(value.get()).ok()?;
            let steps = loc.map(items).unwrap_or_default();
            let place: Vec<_> = steps.iter().map(|step| step.get().trim_matches('"')).collect();
            Some(if place.is_empty() { msg } else { format!("{}: {msg}", place.join(".")) })
        }
        _ => None,
    }
}

/// The first items of an array: few are shown, and all could take many times the memory of the body.
fn items(array: &RawValue) -> Vec<&RawValue> {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut first = Vec::new();
            while first.len() < MAX_ITEMS {
                let Some(item) = items.next_element()? else { return Ok(first) };
                first.push(item);
            }
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    let mut json = serde_json::Deserializer::from_str(array.get());
    json.deserialize_seq(First).unwrap_or_default()
}

/// The first receipt among the values of an object.
struct Nested(Option<BatchReceipt>);

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Nested;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Nested, A::Error> {
                let mut found = None;
                while let Some((_, value)) = members.next_entry::<IgnoredAny, &RawValue>()? {
                    let object = Some(value.get()).filter(|json| json.starts_with('{'));
                    found = found.or_else(|| object.and_then(understood));
                }
                Ok(Nested(found))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use telemetry_model::EventResult;

    use super::*;

    fn response(status: u16, body: impl Into<Vec<u8>>) -> Response {
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    #[test]
    fn receipt_is_read_in_every_form() {
        let expected = receipt(
            br#"{"accepted":1,"rejected":1,"results":[{"status":"rejected","error":"n\u00f6"}]}"#,
        );
        let expected = expected.unwrap();
        assert_eq!((expected.accepted, expected.rejected), (Some(1), Some(1)));
        for body in [
            "\u{feff}{'accepted':1,'rejected':1,'results':[{'status':'rejected','error':'nö'}]}",
            "{'accepted':'1','rejected':' 1 ','results':[{'status':'rejected','error':'nö'}]}",
            "{'ok':true,'data':{'accepted':1,'rejected':1,'results':[{'status':'rejected','error':'nö'}]}}",
        ] {
            let body = body.replace('\'', "\"");
            assert_eq!(receipt(body.as_bytes()).as_ref(), Some(&expected), "{body}");
            let latin1: Vec<u8> = body.replace('\u{feff}', "").chars().map(|c| c as u8).collect();
            assert_eq!(receipt(&latin1).as_ref(), Some(&expected), "{body}");
        }
        let results = receipt(b" [{\"status\":\"rejected\"},{}]").unwrap().results;
        assert_eq!(results.iter().map(EventResult::is_rejected).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn body_is_a_receipt_not_understood_or_foreign() {
        for (body, is_receipt, is_foreign) in [
            ("", true, false),
            (" \r\n", true, false),
            ("\u{feff}", true, false),
            ("{\"accepted\":3}", true, false),
            ("{\"rejected\":0}", true, false),
            ("{}", false, false),
            ("[]", false, false),
            ("null", false, false),
            ("\"ok\"", false, false),
            ("{\"accepted\":\"many\"}", false, false),
            ("{\"status\":\"queued\"}", false, false),
            // Broken off.
            ("{\"accepted\":3,\"res", false, false),
            ("{", false, false),
            ("[{", false, false),
            ("\"o", false, false),
            // Nearly JSON.
            ("{\"score\":NaN}", false, false),
            ("[ { \"a\":1,} ]", false, false),
            ("ok", false, true),
            ("{{ page }}", false, true),
            ("{'accepted':3}", false, true),
            ("[notice] maintenance", false, true),
            ("[]()", false, true),
            ("<html>", false, true),
            ("  <!doctype html>", false, true),
            ("\u{1f}\u{8b}\u{8}", false, true),
        ] {
            assert_eq!(receipt(body.as_bytes()).is_some(), is_receipt, "{body}");
            assert_eq!(super::is_foreign(&response(200, body)), is_foreign, "{body}");
        }
        // Cut within a character.
        assert_eq!(receipt(b"{\"message\":\"\xc3"), None);
    }

    #[test]
    fn deep_body_is_read_without_recursion() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"detail\":[", "]}")] {
            let depth = (1 << 20) / (open.len() + close.len());
            for body in [open.repeat(depth), open.repeat(depth) + "0" + &close.repeat(depth)] {
                for status in [200, 400] {
                    let response = response(status, body.as_str());
                    assert!(!is_foreign(&response) && receipt(response.body()).is_none());
                    assert!(reason(&response).is_some());
                }
            }
        }
    }

    #[test]
    fn reason_is_the_text_of_the_server_on_one_line() {
        let key = "5ec2e7c0".repeat(8);
        let echo = format!("{{\"detail\":\"no such key: {key}\"}}");
        let errors = r#"{"detail":[
            {"type":"missing","loc":["header","x-api-key"],"msg":"Field required","input":null},
            {"type":"int","loc":["body","events",0,"retry_count"],"msg":"not an integer"}]}"#;
        let separators = "{\"detail\":\"a\\nb\\u2028c\\u2029d\\u0085e\\u202ef\\u000bg\"}";
        let nginx =
            "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>";
        for (status, body, expected) in [
            (
                422,
                errors,
                "header.x-api-key: Field required; body.events.0.retry_count: not an integer",
            ),
            (
                400,
                "{\"detail\":\"There was an error parsing the body\"}",
                "There was an error parsing the body",
            ),
            (422, r#"{"type":"about:blank","title":"Invalid","detail":"no key"}"#, "no key"),
            (422, r#"{"type":"about:blank","title":"Invalid"}"#, "Invalid"),
            (400, r#"{"error":{"code":7,"message":"no key"}}"#, "no key"),
            (400, r#"{"detail":"","message":"no key"}"#, "no key"),
            (403, &echo, "no such key: …"),
            (422, separators, "a b c d e f g"),
            (
                400,
                nginx,
                "<html> <head><title>400 No required SSL certificate was sent</title></head>",
            ),
            (503, "busy", "busy"),
            (400, "{\"detail\":\"cut o", "{\"detail\":\"cut o"),
            (400, "{\"detail\":7}", "{\"detail\":7}"),
            (200, "<!doctype html>", "expected JSON, found <!doctype html>"),
            (200, "{\"accepted\":0}", "{\"accepted\":0}"),
            (200, r#"{"results":[{"status":"rejected","error":"no key"}]}"#, "no key"),
        ] {
            assert_eq!(reason(&response(status, body)).as_deref(), Some(expected), "{body}");
        }
        assert_eq!(reason(&response(400, "\r\n")), None);
        let long = reason(&response(
            400,
            format!("{{\"detail\":[{}7]}}", "{\"msg\":\"no\"},".repeat(99_999)),
        ));
        assert_eq!(long.as_deref(), Some("no; no; no; no; no; no; no; no"));
        assert_eq!(reason(&response(400, "ö".repeat(999))).unwrap().chars().count(), 200);
    }
}
