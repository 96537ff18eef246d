//! Values of options.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri, header};
use telemetry_collector::Position;

pub(super) const TIME: &str = "a time such as 150ms, 2s or 5m";
pub(super) const SIZE: &str = "a number of bytes such as 100, 64KiB or 1GiB";
pub(super) const PLACE: &str = "head, body or a number of bytes";

pub(super) fn is_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| url.scheme().is_some() && url.authority().is_some())
}

pub(super) fn is_header(name: &str, value: &str) -> bool {
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    name.parse::<HeaderName>().is_ok_and(|name| !framing.contains(&name))
        && HeaderValue::from_str(value.trim()).is_ok()
}

pub(super) fn place(text: &str) -> Option<Position> {
    match text {
        "head" => Some(Position::InHead),
        "body" => Some(Position::InBody),
        bytes => size(bytes).map(Position::After),
    }
}

pub(super) fn time(text: &str) -> Option<Duration> {
    let (number, milliseconds) = number_and_unit(text)?;
    let milliseconds = match milliseconds {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let bytes = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}
