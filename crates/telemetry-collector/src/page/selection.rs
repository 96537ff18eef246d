//! The filters of a URL: `?harness=&model=&provider=&task_type=&complexity=&from=&to=`.

use form_urlencoded::Serializer;
use telemetry_model::time::{Date, Month, OffsetDateTime, Time};

use super::units;
use crate::storage::views::Filter;

/// The parameters of a URL, in the order of [`Selection::pairs`].
pub(super) const PARAMETERS: [&str; 7] =
    ["harness", "model", "provider", "task_type", "complexity", "from", "to"];

/// A filter, and the URLs of filters that differ from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    pub(super) filter: Filter,
}

impl Selection {
    /// Reads the query of a URL. An empty value sets no filter, as a form sends it.
    ///
    /// # Errors
    ///
    /// All errors: a parameter that is unknown or repeated, a time that is none, an empty range.
    pub(super) fn parse(query: &str) -> Result<Self, Vec<String>> {
        let (mut filter, mut errors) = (Filter::default(), Vec::new());
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.is_empty() && PARAMETERS.contains(&&*name) {
                continue;
            }
            if seen.contains(&name) {
                errors.push(format!("{name}: expected one value, found several"));
                continue;
            }
            let text = Some(value.to_string());
            match &*name {
                "harness" => filter.harness = text,
                "model" => filter.model = text,
                "provider" => filter.provider = text,
                "task_type" => filter.task_type = text,
                "complexity" => filter.complexity = text,
                "from" => match hour(&value) {
                    Ok(Moment { hour, .. }) => filter.from = Some(hour),
                    Err(error) => errors.push(format!("from: {error}")),
                },
                "to" => match hour(&value) {
                    Ok(Moment { hour, is_day }) => {
                        filter.to = Some(hour + if is_day { 24 } else { 0 })
                    }
                    Err(error) => errors.push(format!("to: {error}")),
                },
                _ => errors
                    .push(format!("{name}: no such filter; there are {}", PARAMETERS.join(", "))),
            }
            seen.push(name);
        }
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from >= to
        {
            let [from, to] = [from, to].map(|hour| units::local(units::at_hour(hour)));
            errors
                .push(format!("from, to: expected a start before the end, found {from} and {to}"));
        }
        if errors.is_empty() { Ok(Self { filter }) } else { Err(errors) }
    }

    /// The parameters with their values; `None` for those that are not set.
    pub(super) fn pairs(&self) -> [(&'static str, Option<String>); 7] {
        let Filter { harness, model, provider, task_type, complexity, from, to } =
            self.filter.clone();
        let [from, to] = [from, to].map(|it| it.map(|hour| units::local(units::at_hour(hour))));
        let [a, b, c, d, e, f, g] = PARAMETERS;
        [
            (a, harness),
            (b, model),
            (c, provider),
            (d, task_type),
            (e, complexity),
            (f, from),
            (g, to),
        ]
    }

    pub(super) fn is_all(&self) -> bool {
        self.filter == Filter::default()
    }

    /// The path with this selection.
    pub(super) fn url(&self, path: &str) -> String {
        self.url_with(path, &[])
    }

    /// The path with this selection and other values of some parameters; `None` removes one.
    pub(super) fn url_with(&self, path: &str, changes: &[(&str, Option<&str>)]) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in self.pairs() {
            let changed = changes.iter().find(|(changed, _)| *changed == name).map(|(_, to)| *to);
            if let Some(value) = changed.unwrap_or(value.as_deref()) {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            query if query.is_empty() => path.into(),
            query => format!("{path}?{query}"),
        }
    }
}

/// A time that was parsed.
struct Moment {
    hour: i64,
    /// True for a date without a time.
    is_day: bool,
}

/// Parses `2026-11-28`, `2026-11-28T06` or `2026-11-28T06:00`, with seconds and a `Z` if they are there.
fn hour(text: &str) -> Result<Moment, String> {
    let error = || {
        // As much as helps to find it; a URL may be long.
        let found: String = text.chars().take(40).collect();
        format!(
            "expected a date such as 2026-11-28 or a full hour such as 2026-11-28T06:00 in UTC, \
             found {found:?}"
        )
    };
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time.strip_suffix('Z').unwrap_or(time))),
        None => (text, None),
    };
    let number = |text: &str, digits| match text.len() == digits {
        true if text.bytes().all(|it| it.is_ascii_digit()) => text.parse::<u16>().ok(),
        _ => None,
    };
    let date = || {
        let mut parts = date.split('-');
        let mut next = |digits| number(parts.next()?, digits);
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date = Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()?;
        parts.next().is_none().then_some(date)
    };
    let midnight = date().ok_or_else(error)?;
    let midnight = OffsetDateTime::new_utc(midnight, Time::MIDNIGHT).unix_timestamp() / 3_600;
    let Some(time) = time else { return Ok(Moment { hour: midnight, is_day: true }) };
    let mut parts = time.split(':');
    let hours = parts.next().and_then(|it| number(it, 2)).filter(|hours| *hours < 24);
    let hours = hours.ok_or_else(error)?;
    let rest: Vec<_> = parts.collect();
    if rest.len() > 2 || rest.iter().any(|part| *part != "00") {
        return Err(error());
    }
    Ok(Moment { hour: midnight + i64::from(hours), is_day: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T00:00Z in hours.
    const DAY: i64 = 498_840;

    #[test]
    fn every_filter_is_parsed_and_written() {
        let query = "harness=h&model=%3Cb%3E+%26&provider=p&task_type=t&complexity=c\
                     &from=2026-11-28&to=2026-11-28";
        let selection = Selection::parse(query).unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            selection.filter,
            Filter {
                harness: text("h"),
                model: text("<b> &"),
                provider: text("p"),
                task_type: text("t"),
                complexity: text("c"),
                from: Some(DAY),
                to: Some(DAY + 24),
            }
        );
        let url = selection.url("/");
        assert_eq!(Selection::parse(url.strip_prefix("/?").unwrap()), Ok(selection.clone()));
        let changed = selection.url_with("/page/gates.csv", &[("model", None), ("to", Some("x"))]);
        assert!(!changed.contains("model=") && changed.ends_with("&to=x"), "{changed}");
        let all = Selection::parse("model=&from=&to=").unwrap();
        assert!(all.is_all());
        assert_eq!(all.url("/"), "/");
    }

    #[test]
    fn times_are_full_hours() {
        for (text, hour) in [
            ("2026-11-28", DAY),
            ("2026-11-28T06", DAY + 6),
            ("2026-11-28T06:00", DAY + 6),
            ("2026-11-28T23:00:00Z", DAY + 23),
            ("1969-12-31T23:00", -1),
        ] {
            let query = format!("from={text}");
            assert_eq!(Selection::parse(&query).unwrap().filter.from, Some(hour), "{text}");
        }
    }

    #[test]
    fn wrong_values_are_all_reported() {
        let errors = |query: &str| Selection::parse(query).unwrap_err().join("\n");
        let times = "yesterday|2026-02-30|2026-11-28T06:30|2026-11-28T24:00|26-11-28|2026-11-28-01|\
                     +026-11-28|2026-11-28T|2026-11-28T06:00:00.5|2026-11-28 06:00|2026-13-01";
        for text in times.split('|') {
            let text = text.replace('+', "%2B").replace(' ', "+");
            assert!(errors(&format!("to={text}")).starts_with("to: expected a date"), "{text}");
        }
        let all = errors("modle=a&model=a&model=b&from=x&to=y&format=z");
        assert_eq!(all.lines().count(), 5, "{all}");
        assert!(all.contains("modle: no such filter; there are harness, model"), "{all}");
        assert!(all.contains("model: expected one value, found several"), "{all}");
        let range = errors("from=2026-11-28T05:00&to=2026-11-28T05:00");
        assert!(range.ends_with("found 2026-11-28T05:00 and 2026-11-28T05:00"), "{range}");
    }
}
