//! What others may send, replayed: the corpus of the fuzzer, and changes of it.

use std::{collections::BTreeSet, fs, panic};

use telemetry_tests::{
    evidence,
    fuzz::{self, Mutator, TARGETS, Target},
};

/// As much as the fuzzer tries.
const MAX_BYTES: usize = 8 * 1024;

/// Runs the target with each input, and names those that it panics for.
fn faults(target: Target, inputs: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, input) in inputs {
        if let Err(panic) = panic::catch_unwind(|| (target.check)(&input)) {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref().copied()).unwrap_or_default();
            let input = input.escape_ascii();
            faults.push(format!("{}, {name}: {said}\n  \"{input}\"", target.name));
        }
    }
    faults
}

fn none(faults: impl IntoIterator<Item = Vec<String>>) {
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn corpus(target: Target) -> Vec<(String, Vec<u8>)> {
    target.corpus().unwrap_or_else(|error| panic!("the corpus of {}: {error}", target.name))
}

#[test]
fn every_target_has_its_corpus_and_every_corpus_its_target() {
    let folders: BTreeSet<String> = fs::read_dir(fuzz::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, TARGETS.iter().map(|target| target.name.to_owned()).collect());
    for target in TARGETS {
        let inputs = corpus(target);
        assert!(inputs.len() >= 5, "{}", target.name);
        for (name, input) in inputs {
            assert!(input.len() <= MAX_BYTES, "{}/{name} is too large to be read", target.name);
        }
    }
}

#[test]
fn the_corpus_is_survived() {
    none(TARGETS.map(|target| faults(target, corpus(target))));
}

#[test]
fn each_targets_inputs_are_survived_by_the_others() {
    let inputs: Vec<_> = TARGETS.into_iter().flat_map(corpus).collect();
    none(TARGETS.map(|target| faults(target, inputs.iter().cloned())));
}

#[test]
fn changes_of_the_corpus_are_survived() {
    const SEED: u64 = 7;
    let count = evidence::scale(300, 10_000);
    let mut tried = 0;
    let changed = |target: Target| {
        let inputs = corpus(target).into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(inputs, SEED);
        let changes = (0..count).map(|number| {
            let mut input = mutator.changed();
            input.truncate(MAX_BYTES);
            tried += 1;
            (format!("change {number} of seed {SEED}"), input)
        });
        faults(target, changes)
    };
    none(TARGETS.map(changed));
    let targets = TARGETS.len();
    evidence::tried("R17", format_args!("{tried} changed inputs for {targets} targets"));
}

/// What costs more the longer it is, if anything does: the targets bound what is allocated.
#[test]
fn large_inputs_cost_in_proportion() {
    const LENGTH: usize = 30_000;
    let pieces = [
        "9",
        "0",
        "[",
        "{\"a\":",
        "\"",
        "\"\\u0000",
        "7,",
        "\"\",",
        "null,",
        "{},",
        "\"~\":0,",
        "\"a\":\"b\",",
        "{\"status\":\"rejected\"},",
        "a",
        "\u{1f600}",
    ];
    let frames = [
        ("event", "{\"model\":", "}"),
        ("event", "{\"language\":\"", "\"}"),
        ("event", "{\"quality_gates_run\":[", "0]}"),
        ("event", "{", "\"a\":0}"),
        ("batch", "{\"events\":[", "0]}"),
        ("predictions-request", "{\"queries\":[", "0]}"),
        (
            "predictions-response",
            "{\"results\":[{\"prediction\":{\"duration_ms\":{",
            "\"a\":0}}}]}",
        ),
        ("answers", "200\n\n[{\"prediction\":null,\"metadata\":{\"fallback_level\":[", "0]}},7]"),
        ("delivery", "200\n\n{\"results\":[", "0]}"),
        ("mask", "", ""),
        ("retry-after", "", ""),
        ("environment", "https://", ""),
    ];
    for (name, before, after) in frames {
        let target = Target::named(name).unwrap();
        let inputs = pieces.map(|piece| {
            let middle = piece.repeat(LENGTH / piece.len());
            (format!("{piece:?} in {before:?}"), format!("{before}{middle}{after}").into_bytes())
        });
        // Without the inputs: they are long.
        let faults = faults(target, inputs);
        let faults: Vec<&str> = faults.iter().filter_map(|it| it.lines().next()).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
