//! The format of the file, and its faults.

use super::*;

/// An entry with a unique name and hash, and these lines.
fn entry(number: u8, lines: &str) -> String {
    let hash = format!("{number:02x}").repeat(32);
    format!("[[key]]\nname = \"key-{number}\"\nsha256 = \"{hash}\"\n{lines}\n")
}

fn faults(text: &str) -> Vec<String> {
    keys(text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_is_parsed() {
    let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let fields = format!(
        "instances = [\n  \"{}\",\n  \"{}\",\n]\nfrom = 2026-11-01\nuntil = \"2027-01-01T00:00:00+01:00\"\nrate = 1_200\n",
        ids[0], ids[1]
    );
    let text = format!("# Keys.\n{}{}", entry(0xab, &fields), entry(2, ""));
    let [full, least] = keys(&text).ok().unwrap().try_into().ok().unwrap();
    assert_eq!(
        (full.name.as_str(), full.sha256, full.instances),
        ("key-171", [0xab; 32], ids.into())
    );
    assert_eq!(full.per_minute, NonZeroU32::new(1_200));
    let unix = |at: Option<OffsetDateTime>| at.map(OffsetDateTime::unix_timestamp);
    assert_eq!((unix(full.from), unix(full.until)), (Some(1_793_491_200), Some(1_798_758_000)));
    assert!(least.instances.is_empty() && least.per_minute.is_none());
    assert_eq!((least.from, least.until), (None, None));
    assert_eq!(keys("").map(|keys| keys.len()), Ok(0), "nobody may write");
}

#[test]
fn dates_and_times_with_an_offset_are_accepted() {
    for (text, expected) in [
        ("1970-01-02", Some(86_400)),
        ("\"1970-01-02\"", Some(86_400)),
        ("1970-01-01T00:00:01Z", Some(1)),
        ("1970-01-01 00:00:01Z", Some(1)),
        ("\"1970-01-01T02:00:00.5+01:00\"", Some(3_600)),
        ("1970-01-01T00:00:00-23:59", Some(86_340)),
        ("1970-01-01T00:00:00", None),
        ("00:00:00", None),
        ("1970-02-30", None),
        ("\"\"", None),
        ("\"tomorrow\"", None),
        ("86400", None),
    ] {
        let found = keys(&entry(1, &format!("from = {text}"))).ok();
        let found = found.and_then(|keys| keys[0].from).map(OffsetDateTime::unix_timestamp);
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn all_faults_are_reported_with_their_lines_and_without_values() {
    let secret = "cafe".repeat(16);
    let entries = [
        entry(1, &format!("key = \"{secret}\"\nrate = 0\ninstances = []")),
        format!("[[key]]\nname = \"{secret}\"\nsha256 = \"{secret}0\"\nfrom = 1\n"),
        format!("[[key]]\ninstances = [\n  \"{}\",\n  \"{secret}\"\n]\n", Uuid::from_u128(1)),
        entry(1, "from = 2026-01-02\nuntil = 2026-01-02"),
        entry(3, "rate = 4294967296\nuntil = -1\ninstances = \"a\""),
        format!("[{secret}]\n"),
    ];
    let found = faults(&entries.concat());
    let expected = [
        "4: unknown field; there are name, sha256, instances, from, until, rate",
        "5: rate: expected requests a minute, a number from 1 to 4294967295, found another value",
        "6: instances: expected a list of UUIDs; leave it out for any instance",
        "8: name: expected 1 to 32 characters, ASCII letters, digits, `.`, `-` and `_`, found another value",
        "9: sha256: expected the SHA-256 hash of the key, 64 hexadecimal characters, found another value",
        "10: from: expected a date (its start in UTC), or a time with an offset as 2026-11-26T17:58:03Z, found another value",
        "11: name: missing",
        "11: sha256: missing",
        "14: instances: expected a UUID, found another value",
        "16: until: expected a time after that of `from`",
        "17: name: the same as in line 2",
        "18: sha256: the same as in line 3",
    ];
    assert_eq!(found[..expected.len()], expected);
    let rest: Vec<_> = found[expected.len()..]
        .iter()
        .map(|it| it.split(' ').take(2).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        rest,
        [["24:", "rate:"], ["25:", "until:"], ["26:", "instances:"], ["27:", "unknown"]]
    );
    assert!(!found.concat().contains("cafe"), "{found:?}");
}

#[test]
fn invalid_toml_is_reported_in_every_line_without_values() {
    let secret = "cafe".repeat(16);
    for (text, lines) in [
        (format!("[[key]]\nname = \"a\"\nsha256 = {secret}\n"), &[3][..]),
        (format!("[[key]]\nname = \"a\"\nsha256 = \"{secret}\n"), &[3]),
        (format!("[[key]]\nname = \"{secret}\"\nname = \"b\"\n[[key]\n"), &[1, 2, 3, 4]),
        (format!("{secret}\n"), &[1]),
        (format!("key = \"{secret}\"\n"), &[1]),
        (format!("key = [\"{secret}\"]\n"), &[1]),
        (
            format!(
                "{}[[key]]\nname = \"b\"\nsha256 = \"{secret}\"\n{secret}{secret} = 1\n",
                entry(1, "rate = x")
            ),
            &[4, 8],
        ),
    ] {
        let faults = faults(&text);
        let mut found: Vec<usize> =
            faults.iter().map(|it| it.split(':').next().unwrap().parse().unwrap()).collect();
        found.dedup();
        assert_eq!(found, lines, "{faults:#?}");
        assert!(!faults.concat().contains("cafe"), "{faults:?}");
    }
}
