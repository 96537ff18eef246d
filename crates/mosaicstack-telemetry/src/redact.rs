//! What others say, without what could be the API key.
//!
//! A server or a gateway may echo the key, and whoever speaks here does not know it; so whatever looks
//! like it goes.

use std::ops::Range;

/// So many hexadecimal digits could be a key, or half of one.
const DIGITS: usize = 32;

/// A key in lines or groups, of at least so many digits, is one all the same.
const GROUP: usize = 8;

/// So many characters without a blank could be a key in base64; they are no word.
const WORD: usize = 64;

/// A text of others in one line, cut at 200 characters and [`redact`].
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    // A key that begins within the one ends within the other.
    const WINDOW: usize = 2 * LONGEST;
    let end = |chars| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    redact_until(&text[..end(WINDOW)], end(LONGEST)).replace(|c: char| c.is_control(), " ")
}

/// The text with `…` for all that could be the key: runs of 32 or more hexadecimal digits, also those
/// that white space parts into groups of eight or more, and runs of 64 or more characters of base64.
pub(crate) fn redact(text: &str) -> String {
    redact_until(text, text.len())
}

/// The text with `…` for a secret that is known, in ASCII capitals or not.
pub(crate) fn redact_known(text: &str, secret: &str) -> String {
    let (low, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let (mut shown, mut end) = (String::with_capacity(text.len()), 0);
    for (start, found) in low.match_indices(&secret) {
        shown.push_str(&text[end..start]);
        shown.push('…');
        end = start + found.len();
    }
    shown + &text[end..]
}

/// The beginning of the text, masked with a look at the rest: nothing moves up into what is shown.
fn redact_until(text: &str, until: usize) -> String {
    let mut secrets: Vec<Range<usize>> = hexadecimal(text);
    secrets.extend(runs(text, is_of_base64).filter(|run| run.len() >= WORD));
    secrets.sort_by_key(|secret| secret.start);
    let (mut shown, mut end) = (String::with_capacity(until), 0);
    for secret in secrets.into_iter().take_while(|secret| secret.start < until) {
        if secret.start >= end {
            shown.push_str(&text[end..secret.start]);
            shown.push('…');
        }
        end = end.max(secret.end);
    }
    shown + text.get(end..until).unwrap_or_default()
}

fn hexadecimal(text: &str) -> Vec<Range<usize>> {
    let is_gap = |gap: Range<usize>| text[gap].chars().all(|c| c.is_whitespace() || c.is_control());
    // Where it is, its digits, and those of its last group.
    let mut found: Vec<(Range<usize>, usize, usize)> = Vec::new();
    for group in runs(text, |c| c.is_ascii_hexdigit()) {
        match found.last_mut() {
            Some((run, digits, last))
                if (*last).min(group.len()) >= GROUP && is_gap(run.end..group.start) =>
            {
                run.end = group.end;
                *digits += group.len();
                *last = group.len();
            }
            _ => found.push((group.clone(), group.len(), group.len())),
        }
    }
    found.into_iter().filter(|(_, digits, _)| *digits >= DIGITS).map(|(run, ..)| run).collect()
}

/// Where the longest runs of such characters are.
fn runs(text: &str, is_one: impl Fn(char) -> bool + Copy) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let pieces = text.split_inclusive(move |c| !is_one(c)).map(move |piece| {
        let run = start..start + piece.trim_end_matches(|c| !is_one(c)).len();
        start += piece.len();
        run
    });
    pieces.filter(|run| !run.is_empty())
}

fn is_of_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/-_".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_words_are_cut_and_cleaned() {
        let key = "5ec2e7c0".repeat(8);
        let said = format!("no\nsuch key: \"Bearer {key}\", {key}");
        assert_eq!(excerpt(&said), "no such key: \"Bearer …\", …");
        assert_eq!(excerpt(&format!("key={key}")), "key=…");
        assert_eq!(excerpt(&"ö".repeat(300)), "ö".repeat(200));
        assert_eq!(excerpt(&format!("{}{key}", "ö".repeat(180))), "ö".repeat(180) + "…");
        assert_eq!(excerpt(&format!("{}{key}", "ö".repeat(199))), "ö".repeat(199) + "…");
        assert_eq!(excerpt(&format!("{}{key}", "ö".repeat(380))), "ö".repeat(200));
        let id = "event a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d";
        assert_eq!(excerpt(id), id);
        assert_eq!(excerpt(""), "");
    }

    #[test]
    fn a_key_in_another_form_is_masked_as_well() {
        let (half, quarter, eighth) = ("5EC2E7C0".repeat(4), "5ec2e7c0".repeat(2), "5ec2e7c0");
        let base64 = "NWVjMmU3YzA1".repeat(8);
        for (said, shown) in [
            (format!("<{half}\r\n {half}>"), "<…>".to_owned()),
            (format!("de {quarter}\n{quarter}\n{quarter}\n{quarter} fed"), "de … fed".into()),
            (format!("{eighth} {eighth} {eighth} {eighth}"), "…".into()),
            (format!("Basic {base64}==, no"), "Basic …==, no".into()),
            (format!("/{half}{base64}"), "…".into()),
        ] {
            assert_eq!(redact(&said), shown);
            // At no length does an end or a beginning come through.
            for before in 100..400 {
                let words = "no ".repeat(before / 3);
                let shown = excerpt(&format!("{words}{said}")).to_lowercase();
                let piece = ["5ec2e7c05", "nwvjmmu3y"].iter().find(|it| shown.contains(**it));
                assert_eq!(piece, None, "{before}: {shown}");
            }
        }
    }

    #[test]
    fn what_is_masked_lets_no_piece_of_a_key_move_up() {
        let key = "5ec2e7c0 ".repeat(8);
        for before in 64..400 {
            let shown = excerpt(&format!("{} {key}", "x".repeat(before)));
            assert!(!shown.contains("5ec2e7c0"), "{before}: {shown}");
        }
    }

    #[test]
    fn words_numbers_and_ids_stay() {
        for said in [
            "the certificate is only valid for IpAddress(127.0.0.1) or DnsName(\"a.example.com\")",
            "dead beef 1234567 89 1700000000 1700000000 seconds ago",
            "/v1/events/batch: f81d4fae-7dec-11d0-a765-00a0c91e6bf6, 36 characters",
        ] {
            assert_eq!(redact(said), said);
        }
    }
}
