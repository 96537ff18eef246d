//! What can become of a request, and what the protocol says it means.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use mosaicstack_telemetry::{Response, TransportError};
use proptest::{collection::vec, option, prelude::*, sample::select};
use telemetry_tests::status;
use uuid::Uuid;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The server takes the events.
    Taken(u16, Receipt),
    /// The server answers something else.
    Status(u16, Wish),
    /// No answer comes in time.
    Silence,
    /// The connection breaks.
    Broken,
    /// The server takes the events, and the client does not hear of it: the connection breaks, or
    /// something in between answers with this status.
    Lost(Option<u16>),
    /// The transport cannot work.
    Unusable,
}

/// What a server says of the events that it takes.
#[derive(Clone, Debug)]
pub(super) enum Receipt {
    /// What is no receipt.
    Text(String),
    Json {
        rejected: Option<u64>,
        results: Vec<(Which, Word, bool)>,
    },
}

/// Which event a result is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// One of the batch: this one, counted around.
    Number(usize),
    Unnamed,
    Foreign,
}

/// The status of a result; the flag beside it says whether there is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Accepted,
    Rejected,
    Other,
    Missing,
}

/// What a server asks for in `Retry-After`.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Nothing,
    Seconds(u64),
    /// So many seconds after the answer's own date, or after the client's where it has none.
    Date(i64, bool),
    Garbage(Vec<u8>),
}

/// What the protocol says that an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Accepted {
        rejected: usize,
    },
    /// It may pass; so long a pause is asked for.
    Passing(Option<Duration>),
    AtFault,
    Refused,
}

impl Answer {
    /// Whether the server has the events now.
    pub(super) fn takes(&self) -> bool {
        matches!(self, Self::Taken(..) | Self::Lost(_))
    }

    /// What it means for a batch of these events; `wall` is the client's calendar.
    pub(super) fn meaning(&self, count: usize, wall: Duration) -> Meaning {
        match self {
            Self::Taken(_, receipt) => Meaning::Accepted { rejected: receipt.rejected(count) },
            Self::Silence | Self::Broken | Self::Lost(_) => Meaning::Passing(None),
            Self::Unusable => Meaning::Refused,
            Self::Status(408 | 429 | 500..=599, wish) => Meaning::Passing(wish.pause(wall)),
            Self::Status(400 | 413 | 422, _) => Meaning::AtFault,
            Self::Status(..) => Meaning::Refused,
        }
    }

    /// What the client gets.
    pub(super) fn result(&self, ids: &[Uuid], wall: Duration) -> Result<Response, TransportError> {
        match self {
            Self::Taken(code, receipt) => {
                let mut response = status(*code);
                *response.body_mut() = receipt.body(ids);
                Ok(response)
            }
            Self::Status(code, wish) => {
                let mut response = status(*code);
                wish.write(&mut response, wall);
                Ok(response)
            }
            Self::Silence => Err(TransportError::Timeout),
            Self::Broken | Self::Lost(None) => Err(TransportError::network("reset")),
            Self::Lost(Some(code)) => Ok(status(*code)),
            Self::Unusable => Err(TransportError::other("no such gateway")),
        }
    }
}

impl Receipt {
    /// How many of `count` events it rejects, by `docs/protocol.md`.
    fn rejected(&self, count: usize) -> usize {
        let Self::Json { rejected, results } = self else { return 0 };
        let is_rejected =
            |word: Word, error: bool| word == Word::Rejected || (error && word != Word::Accepted);
        let mut events = vec![false; count];
        let mut unnamed = 0;
        for &(which, word, error) in results {
            match which {
                Which::Number(number) => events[number % count] |= is_rejected(word, error),
                Which::Unnamed => unnamed += usize::from(is_rejected(word, error)),
                Which::Foreign => {}
            }
        }
        let found = events.iter().filter(|&&it| it).count() + unnamed;
        let said = rejected.map_or(0, |said| usize::try_from(said).unwrap_or(usize::MAX));
        found.max(said).min(count)
    }

    fn body(&self, ids: &[Uuid]) -> Vec<u8> {
        let (rejected, results) = match self {
            Self::Text(text) => return text.clone().into_bytes(),
            Self::Json { rejected, results } => (rejected, results),
        };
        let results = results.iter().map(|&(which, word, error)| {
            let mut result = serde_json::Map::new();
            let id = match which {
                Which::Number(number) => Some(ids[number % ids.len()]),
                Which::Unnamed => None,
                Which::Foreign => Some(Uuid::nil()),
            };
            let word = match word {
                Word::Accepted => Some("accepted"),
                Word::Rejected => Some("rejected"),
                Word::Other => Some("deferred"),
                Word::Missing => None,
            };
            result.extend(id.map(|id| ("event_id".into(), id.to_string().into())));
            result.extend(word.map(|word| ("status".into(), word.into())));
            result.extend(error.then(|| ("error".into(), "no such model".into())));
            result
        });
        let results: Vec<_> = results.collect();
        serde_json::json!({ "rejected": rejected, "results": results }).to_string().into_bytes()
    }
}

impl Wish {
    /// How long a pause it asks for.
    pub(super) fn pause(&self, wall: Duration) -> Option<Duration> {
        match self {
            Self::Nothing | Self::Garbage(_) => None,
            Self::Seconds(seconds) => Some(Duration::from_secs(*seconds)),
            Self::Date(offset, has_date) => {
                // A date has whole seconds; the client's calendar has parts of them.
                let part = if *has_date { Duration::ZERO } else { parts(wall) };
                let offset = Duration::from_secs((*offset).try_into().unwrap_or_default());
                Some(offset.saturating_sub(part))
            }
        }
    }

    pub(super) fn write(&self, response: &mut Response, wall: Duration) {
        let headers = response.headers_mut();
        let mut write = |name: &'static str, value: &[u8]| {
            headers.insert(name, HeaderValue::from_bytes(value).expect("a header's value"));
        };
        match self {
            Self::Nothing => {}
            Self::Seconds(seconds) => write("retry-after", seconds.to_string().as_bytes()),
            Self::Garbage(bytes) => write("retry-after", bytes),
            Self::Date(offset, has_date) => {
                // The server's clock is years behind the client's.
                let now = if *has_date { 1_000_000_000 } else { wall.as_secs() };
                write("retry-after", date(now.saturating_add_signed(*offset)).as_bytes());
                if *has_date {
                    write("date", date(now).as_bytes());
                }
            }
        }
    }
}

/// What is beyond whole seconds.
fn parts(time: Duration) -> Duration {
    Duration::from_nanos(time.subsec_nanos().into())
}

/// A moment as HTTP writes it.
fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

pub(super) fn answer() -> impl Strategy<Value = Answer> {
    let passing = select(vec![408, 429, 500, 502, 503, 504, 599]);
    let refusal = select(vec![401, 403, 404, 405, 410, 301, 307, 308, 600, 999]);
    prop_oneof![
        10 => (select(vec![200, 201, 202, 204, 207, 299]), receipt())
            .prop_map(|(code, receipt)| Answer::Taken(code, receipt)),
        6 => (passing.clone(), wish()).prop_map(|(code, wish)| Answer::Status(code, wish)),
        3 => (select(vec![400, 413, 422]), wish()).prop_map(|(code, wish)| Answer::Status(code, wish)),
        1 => (refusal, wish()).prop_map(|(code, wish)| Answer::Status(code, wish)),
        1 => Just(Answer::Silence),
        1 => Just(Answer::Broken),
        2 => option::of(passing).prop_map(Answer::Lost),
        1 => Just(Answer::Unusable),
    ]
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let which = prop_oneof![
        4 => (0..100_usize).prop_map(Which::Number),
        1 => Just(Which::Unnamed),
        1 => Just(Which::Foreign),
    ];
    let word = select(vec![Word::Accepted, Word::Rejected, Word::Other, Word::Missing]);
    let said = prop_oneof![0..5_u64, any::<u64>()];
    let garbage =
        select(vec!["ok", "<html>", "[]", "7", "{\"rejected\":\"many\"}", "{\"results\":{}}"]);
    prop_oneof![
        4 => Just(Receipt::Text(String::new())),
        1 => garbage.prop_map(|text| Receipt::Text(text.into())),
        2 => (option::of(said), vec((which, word, any::<bool>()), 0..8))
            .prop_map(|(rejected, results)| Receipt::Json { rejected, results }),
    ]
}

pub(super) fn wish() -> impl Strategy<Value = Wish> {
    let garbage = vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8, Just(b'\t')], 0..12)
        .prop_filter("no number", |bytes| {
            !bytes.trim_ascii().iter().all(u8::is_ascii_digit) || bytes.trim_ascii().is_empty()
        });
    prop_oneof![
        3 => Just(Wish::Nothing),
        3 => prop_oneof![0..3_u64, 0..1_000_u64, any::<u64>()].prop_map(Wish::Seconds),
        2 => (prop_oneof![-100_000..100_000_i64, -5..5_i64], any::<bool>())
            .prop_map(|(offset, has_date)| Wish::Date(offset, has_date)),
        1 => garbage.prop_map(Wish::Garbage),
    ]
}
