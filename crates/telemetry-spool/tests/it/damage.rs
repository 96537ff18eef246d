//! Damaged files.

use std::fs;

use telemetry_spool::{Spool, SpoolOptions};

use crate::{NOW, SEGMENT, TemporaryFolder, drain, files, open, recover};

const HEAD: usize = 24;
const START: usize = 8;
/// `open` has the header "destination".
const FIRST: usize = START + HEAD + 11;
/// Three records of one byte, an acknowledgement of the first, and another record.
const PARTS: [(char, usize); 5] = [('1', 25), ('2', 25), ('3', 25), ('A', 24), ('4', 25)];

fn segment() -> Vec<u8> {
    let root = TemporaryFolder::new();
    let spool = open(&root);
    let mut writer = spool.writer();
    writer.append(&["1", "2", "3"], NOW).unwrap();
    writer.acknowledge(1).unwrap();
    writer.append(&["4"], NOW).unwrap();
    let [name] = &files(&spool)[..] else { panic!("one file") };
    let bytes = fs::read(spool.path().join(name)).unwrap();
    assert_eq!(bytes.len(), FIRST + PARTS.iter().map(|part| part.1).sum::<usize>());
    bytes
}

/// Returns the part of this byte, and the number of its bytes before that.
fn part(mut at: usize) -> Option<(char, usize)> {
    at = at.checked_sub(FIRST)?;
    PARTS.into_iter().find_map(|(part, len)| {
        let within = (at < len).then_some((part, at));
        at = at.wrapping_sub(len);
        within
    })
}

#[test]
fn flipped_bit_costs_its_record() {
    let bytes = segment();
    let root = TemporaryFolder::new();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let spool = open(&root);
        fs::write(spool.path().join(SEGMENT), bytes).unwrap();
        let recovered = recover(&spool, NOW).concat();
        let (expected, damaged) = match part(bit / 8) {
            // Another version.
            None if (6..8).contains(&(bit / 8)) => {
                fs::remove_file(spool.path().join(SEGMENT)).unwrap();
                (String::new(), 0)
            }
            // Each record knows its destination.
            None => ("234".into(), 0),
            Some(('A', _)) => ("1234".into(), 0),
            // It was acknowledged.
            Some(('1', _)) => ("234".into(), 0),
            Some((record, _)) => ("234".replace(record, ""), 1),
        };
        assert_eq!(recovered, expected, "bit {bit}");
        assert_eq!(spool.stats().damaged, damaged, "bit {bit}");
        assert_eq!(files(&spool), [""; 0], "bit {bit}");
    }
}

#[test]
fn cut_file_costs_what_is_missing() {
    let bytes = segment();
    let root = TemporaryFolder::new();
    for len in 0..bytes.len() {
        let (torn, within) = part(len).unwrap_or(('H', len));
        let complete: String =
            PARTS.iter().map(|part| part.0).take_while(|it| torn != 'H' && *it != torn).collect();
        let (expected, is_torn_acknowledgement) = match complete.split_once('A') {
            Some((_, after)) => (format!("23{after}"), false),
            None => (complete, torn == 'A' && within >= 3),
        };
        let is_damaged = (torn == 'H' || within > 0) && !is_torn_acknowledgement;
        // In two drains: one acknowledges a record at a time behind the damage, and leaves the last.
        let spool = open(&root);
        fs::write(spool.path().join(SEGMENT), &bytes[..len]).unwrap();
        let mut first = drain(&spool, NOW);
        let mut recovered = Vec::new();
        for _ in 1..expected.len() {
            recovered.extend(first.read(1).unwrap());
            first.acknowledge(1).unwrap();
        }
        drop(first);
        let recovered = String::from_utf8(recovered.concat()).unwrap();
        let last = recover(&spool, NOW).concat();
        assert_eq!(recovered + &last, expected, "length {len}");
        assert_eq!(spool.stats().damaged, u64::from(is_damaged), "length {len}");
        assert_eq!(files(&spool), [""; 0], "length {len}");
    }
}

#[test]
fn damaged_header_sends_no_record_to_another_destination() {
    let bytes = segment();
    let root = TemporaryFolder::new();
    for bit in 0..FIRST * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let spool = Spool::open(&*root, "test", b"another", SpoolOptions::default()).unwrap();
        fs::write(spool.path().join(SEGMENT), bytes).unwrap();
        assert_eq!(recover(&spool, NOW), [""; 0], "bit {bit}");
    }
}

#[test]
fn whatever_happens_to_a_file_only_its_records_are_recovered() {
    let original = segment();
    let mut random = Random(1);
    let root = TemporaryFolder::new();
    for case in 0..1_000 {
        let mut bytes = original.clone();
        for _ in 0..=random.below(4) {
            let [at, to] = [0; 2].map(|_| random.below(bytes.len() + 1));
            let (at, to) = (at.min(to), at.max(to));
            match random.below(4) {
                0 => drop(bytes.drain(at..to)),
                1 => bytes.extend_from_within(at..to),
                2 => bytes[at..to].fill(0),
                _ => bytes[at..to].iter_mut().for_each(|it| *it = random.below(256) as u8),
            }
        }
        let spool = open(&root);
        fs::write(spool.path().join(SEGMENT), &bytes).unwrap();
        let recovered = recover(&spool, NOW).concat();
        let mut expected = "1234".chars();
        assert!(
            recovered.chars().all(|it| expected.any(|other| it == other)),
            "{case}: {recovered}"
        );
        let _ = fs::remove_file(spool.path().join(SEGMENT));
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn garbage_is_counted_and_removed() {
    let mut random = Random(1);
    let mut noise = |len| (0..len).map(|_| random.below(256) as u8).collect::<Vec<_>>();
    let valid = segment();
    let root = TemporaryFolder::new();
    for (case, content, expected) in [
        ("empty", vec![], ""),
        ("short", noise(5), ""),
        ("long", noise(300_000), ""),
        ("zeros", vec![0; 100_000], ""),
        ("magics", [0xFF, 0xB5].repeat(10_000), ""),
        ("behind garbage", [noise(1_000), valid.clone()].concat(), "234"),
        ("before garbage", [valid.clone(), noise(1_000)].concat(), "234"),
        ("within", [&valid[..FIRST + 75], &noise(1_000), &valid[FIRST + 75..]].concat(), "234"),
        ("twice", [&valid[..], &valid[FIRST..]].concat(), "234"),
        ("too long", [valid.clone(), vec![0; 5_000_000]].concat(), "234"),
    ] {
        let spool = open(&root);
        fs::write(spool.path().join(SEGMENT), content).unwrap();
        assert_eq!(recover(&spool, NOW).concat(), expected, "{case}");
        let damaged = u64::from(!["within", "twice", "behind garbage"].contains(&case));
        assert_eq!(spool.stats().damaged, damaged, "{case}");
        assert_eq!(files(&spool), [""; 0], "{case}");
    }
}
