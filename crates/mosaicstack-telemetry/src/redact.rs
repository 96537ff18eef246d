//! Redaction of text from servers, gateways and transports.
//!
//! Such text may echo the API key, and most callers do not know the key. Everything that looks like a
//! key, or a large part of one, is replaced by `…`.

use std::ops::Range;

/// Minimum number of hexadecimal digits to redact: half of a key.
const MIN_HEX_LEN: usize = 32;

/// Minimum length of a group of hexadecimal digits that can be a part of a key split by white space.
const MIN_GROUP_LEN: usize = 8;

/// Minimum number of base64 characters to redact: longer than any word.
const MIN_BASE64_LEN: usize = 64;

/// Redacts `text` as [`redact`] does, cuts it after 200 characters, and shows it on one line: each run
/// of white space and of characters that control the output becomes a space.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    // Look further ahead than the excerpt: a key that starts in it may end outside.
    const WINDOW: usize = 2 * MAX_CHARS;
    let end = |chars| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    let redacted = redact_until(&text[..end(WINDOW)], end(MAX_CHARS));
    let words = redacted.split(is_space).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// True for line breaks of all kinds, and for characters that reverse or hide the text after them.
fn is_space(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Replaces by `…`: runs of 32 or more hexadecimal digits, also if white space splits them into groups
/// of 8 or more, and runs of 64 or more base64 characters.
pub(crate) fn redact(text: &str) -> String {
    redact_until(text, text.len())
}

/// Replaces each occurrence of `secret` by `…`, ignoring ASCII case.
pub(crate) fn redact_known(text: &str, secret: &str) -> String {
    let (lower, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let (mut redacted, mut end) = (String::with_capacity(text.len()), 0);
    for (start, found) in lower.match_indices(&secret) {
        redacted.push_str(&text[end..start]);
        redacted.push('…');
        end = start + found.len();
    }
    redacted + &text[end..]
}

/// Redacts `text[..until]`. The rest decides where a secret ends, but is not shown, even if a shorter
/// replacement leaves room for it.
fn redact_until(text: &str, until: usize) -> String {
    let mut secrets: Vec<Range<usize>> = hex_runs(text);
    secrets.extend(runs(text, is_base64).filter(|run| run.len() >= MIN_BASE64_LEN));
    secrets.sort_by_key(|secret| secret.start);
    let (mut redacted, mut end) = (String::with_capacity(until), 0);
    for secret in secrets.into_iter().take_while(|secret| secret.start < until) {
        // Overlapping secrets share one replacement.
        if secret.start >= end {
            redacted.push_str(&text[end..secret.start]);
            redacted.push('…');
        }
        end = end.max(secret.end);
    }
    redacted + text.get(end..until).unwrap_or_default()
}

/// Finds the hexadecimal runs to redact, groups joined.
fn hex_runs(text: &str) -> Vec<Range<usize>> {
    let is_gap = |gap: Range<usize>| text[gap].chars().all(|c| c.is_whitespace() || c.is_control());
    // Range, number of digits, and length of the last group.
    let mut found: Vec<(Range<usize>, usize, usize)> = Vec::new();
    for group in runs(text, |c| c.is_ascii_hexdigit()) {
        match found.last_mut() {
            Some((run, digits, last_len))
                if (*last_len).min(group.len()) >= MIN_GROUP_LEN
                    && is_gap(run.end..group.start) =>
            {
                run.end = group.end;
                *digits += group.len();
                *last_len = group.len();
            }
            _ => found.push((group.clone(), group.len(), group.len())),
        }
    }
    found.into_iter().filter(|(_, digits, _)| *digits >= MIN_HEX_LEN).map(|(run, ..)| run).collect()
}

/// Finds the longest runs of characters that match.
fn runs(text: &str, matches: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let pieces = text.split_inclusive(move |c| !matches(c)).map(move |piece| {
        let run = start..start + piece.trim_end_matches(|c| !matches(c)).len();
        start += piece.len();
        run
    });
    pieces.filter(|run| !run.is_empty())
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/-_".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_is_redacted_cut_and_on_one_line() {
        let key = "5ec2e7c0".repeat(8);
        let id = "event a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";
        for (text, expected) in [
            ("".to_owned(), "".to_owned()),
            (id.to_owned(), id.to_owned()),
            (
                format!("no\nsuch key: \"Bearer {key}\", {key}"),
                "no such key: \"Bearer …\", …".to_owned(),
            ),
            (format!("key={key}"), "key=…".to_owned()),
            ("ö".repeat(300), "ö".repeat(200)),
            (format!("{}{key}", "ö".repeat(180)), "ö".repeat(180) + "…"),
            (format!("{}{key}", "ö".repeat(199)), "ö".repeat(199) + "…"),
            (format!("{}{key}", "ö".repeat(380)), "ö".repeat(200)),
        ] {
            assert_eq!(excerpt(&text), expected);
        }
    }

    #[test]
    fn keys_are_redacted_in_every_form_and_at_every_position() {
        let (half, quarter, eighth) = ("5EC2E7C0".repeat(4), "5ec2e7c0".repeat(2), "5ec2e7c0");
        let base64 = "NWVjMmU3YzA1".repeat(8);
        for (text, expected) in [
            (format!("<{half}\r\n {half}>"), "<…>"),
            (format!("de {quarter}\n{quarter}\n{quarter}\n{quarter} fed"), "de … fed"),
            (format!("{eighth} {eighth} {eighth} {eighth}"), "…"),
            (format!("Basic {base64}==, no"), "Basic …==, no"),
            (format!("/{half}{base64}"), "…"),
        ] {
            assert_eq!(redact(&text), expected);
            // Wherever the excerpt ends, it shows neither the start nor the end of the key.
            for before in 100..400 {
                let words = "no ".repeat(before / 3);
                let excerpt = excerpt(&format!("{words}{text}")).to_lowercase();
                let piece = ["5ec2e7c05", "nwvjmmu3y"].iter().find(|it| excerpt.contains(**it));
                assert_eq!(piece, None, "{before}: {excerpt}");
            }
        }
    }

    #[test]
    fn redaction_moves_no_part_of_a_second_key_into_the_excerpt() {
        let key = "5ec2e7c0 ".repeat(8);
        for before in 64..400 {
            let excerpt = excerpt(&format!("{} {key}", "x".repeat(before)));
            assert!(!excerpt.contains("5ec2e7c0"), "{before}: {excerpt}");
        }
    }

    #[test]
    fn words_numbers_and_ids_are_kept() {
        for text in [
            "the certificate is only valid for IpAddress(127.0.0.1) or DnsName(\"a.example.com\")",
            "dead beef 1234567 89 1700000000 1700000000 seconds ago",
            "/v1/events/batch: f81d4fae-7dec-11d0-a765-00a0c91e6bf6, 36 characters",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
