use super::*;

/// A value of each type.
const VALUES: [&str; 9] =
    ["null", "true", "-5", "5", "0.5", r#""a""#, r#""\u0061\n""#, r#"{"a":[1]}"#, r#"[{},1,[2]]"#];

/// Values as JSON, and as they are read.
fn read<T: for<'a> Deserialize<'a> + Default, R>(fact: impl Fn(T) -> R) -> [R; 9] {
    #[derive(Default, Deserialize)]
    #[serde(default, bound = "T: Deserialize<'de> + Default")]
    struct Record<T> {
        value: T,
        next: u64,
    }

    VALUES.map(|value| {
        let json = format!(r#"{{"value":{value},"next":7}}"#);
        let record: Record<T> = serde_json::from_str(&json).unwrap();
        assert_eq!(record.next, 7, "{json}");
        fact(record.value)
    })
}

#[test]
fn value_of_another_type_is_absent() {
    let texts = VALUES.map(|it| serde_json::from_str::<Text<'_>>(it).unwrap());
    let texts = texts.each_ref().map(Text::as_str);
    assert_eq!(texts, ["", "", "", "", "", "a", "a\n", "", ""]);
    let flags = read(|flag: Flag| flag.0);
    assert_eq!(flags, VALUES.map(|it| it == "true"));
    let objects = read(|object: Object<IgnoredAny>| object.0.is_some());
    assert_eq!(objects, VALUES.map(|it| it.starts_with('{')));
    let lists = read(|list: List<IgnoredAny>| list.0.len());
    assert_eq!(lists, VALUES.map(|it| usize::from(it.starts_with('['))));
    let content = VALUES.map(|it| match serde_json::from_str(it).unwrap() {
        Content::Text(text) => text.into_owned(),
        Content::Blocks::<IgnoredAny>(blocks) => blocks.len().to_string(),
    });
    assert_eq!(content, ["0", "0", "0", "0", "0", "a", "a\n", "0", "1"]);
}

#[test]
fn number_is_whole_or_not() {
    let numbers = read(|number: Number| (number.whole(), number.count(), number.value()));
    let absent = (None, 0, None);
    let (negative, positive) = ((Some(-5), 0, Some(-5.0)), (Some(5), 5, Some(5.0)));
    let float = (None, 0, Some(0.5));
    let expected = [absent, absent, negative, positive, float, absent, absent, absent, absent];
    assert_eq!(numbers, expected);
    let large: Number = serde_json::from_str("18446744073709551615").unwrap();
    assert_eq!((large.whole(), large.count(), large.positive()), (None, u64::MAX, Some(u64::MAX)));
    assert_eq!(Number::Whole(0).positive(), None);
}

#[test]
fn raw_value_is_parsed_as_the_type_that_is_needed() {
    let raw = VALUES.map(|it| RawValue::from_string(it.to_owned()).unwrap());
    let raw = raw.each_ref().map(|it| Some(&**it));
    assert_eq!(
        raw.map(parsed::<i64>),
        [None, None, Some(-5), Some(5), None, None, None, None, None]
    );
    assert_eq!(raw.map(number), [None, None, Some(-5), Some(5), Some(0), None, None, None, None]);
    assert_eq!(parsed::<i64>(None), None);
    let texts = raw.map(|it| escaped(it));
    let expected =
        ["null", "true", "-5", "5", "0.5", "a", r"\u0061\n", r#"{"a":[1]}"#, "[{},1,[2]]"];
    assert_eq!(texts, expected);
    assert_eq!(escaped(None), "");
}

#[test]
fn text_without_escapes_is_borrowed() {
    assert!(matches!(serde_json::from_str(r#""a""#).unwrap(), Text(Cow::Borrowed("a"))));
    assert_eq!(Text::default().filled(), None);
}
