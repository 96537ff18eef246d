//! The fuzz targets, replayed with the corpus and with mutations of it.

use std::{collections::BTreeSet, fs, panic};

use telemetry_tests::{
    fuzz::{self, Mutator, TARGETS, Target},
    long_tests,
};

/// The same bound as in `xtask/src/fuzz.rs`.
const MAX_BYTES: usize = 8 * 1024;

fn corpus(target: Target) -> Vec<(String, Vec<u8>)> {
    target.corpus().unwrap_or_else(|error| panic!("the corpus of {}: {error}", target.name))
}

/// Runs the target with each input; fails with all inputs for which it panics, shortened.
fn run(target: Target, inputs: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let mut failures = Vec::new();
    for (name, input) in inputs {
        if let Err(panic) = panic::catch_unwind(|| (target.check)(&input)) {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref().copied()).unwrap_or_default();
            let input: String = input.escape_ascii().take(2 * MAX_BYTES).map(char::from).collect();
            failures.push(format!("{}, {name}: {message}\n  \"{input}\"", target.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_target_has_a_corpus_that_the_fuzzer_can_read() {
    let folders = fs::read_dir(fuzz::folder()).unwrap();
    let folders: BTreeSet<_> = folders.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(folders, TARGETS.iter().map(|target| target.name.into()).collect());
    for target in TARGETS {
        let inputs = corpus(target);
        assert!(inputs.len() >= 5, "{}", target.name);
        assert!(inputs.iter().all(|(_, input)| input.len() <= MAX_BYTES), "{}", target.name);
    }
}

/// Each target also gets the inputs of the others.
#[test]
fn every_target_accepts_the_corpus() {
    let inputs: Vec<_> = TARGETS.into_iter().flat_map(corpus).collect();
    TARGETS.into_iter().for_each(|target| run(target, inputs.iter().cloned()));
}

#[test]
fn every_target_accepts_mutations_of_the_corpus() {
    const SEED: u64 = 7;
    let count = if long_tests() { 10_000 } else { 300 };
    for target in TARGETS {
        let inputs = corpus(target).into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(inputs, SEED);
        let mutations = (0..count).map(|number| {
            let mut input = mutator.mutated();
            input.truncate(MAX_BYTES);
            (format!("mutation {number} of seed {SEED}"), input)
        });
        run(target, mutations);
    }
}

/// Superlinear parsing would take minutes here; the targets bound what is allocated.
#[test]
fn large_inputs_cost_in_proportion() {
    const LENGTH: usize = 30_000;
    // Separated by spaces.
    const PIECES: &str = concat!(
        r#"9 0 [ {"a": " "\u0000 7, "", null, {}, "~":0, "a":"b", {"status":"rejected"}, a"#,
        " \u{1f600}"
    );
    for (name, before, after) in [
        ("event", "{\"model\":", "}"),
        ("event", "{\"language\":\"", "\"}"),
        ("event", "{\"quality_gates_run\":[", "0]}"),
        ("event", "{", "\"a\":0}"),
        ("batch", "{\"events\":[", "0]}"),
        ("predictions-request", "{\"queries\":[", "0]}"),
        ("predictions-response", r#"{"results":[{"prediction":{"duration_ms":{"#, r#""a":0}}}]}"#),
        ("answers", "200\n\n[{\"prediction\":null,\"metadata\":{\"fallback_level\":[", "0]}},7]"),
        ("delivery", "200\n\n{\"results\":[", "0]}"),
        ("redaction", "", ""),
        ("retry-after", "", ""),
        ("environment", "https://", ""),
    ] {
        let inputs = PIECES.split(' ').map(|piece| {
            let middle = piece.repeat(LENGTH / piece.len());
            (format!("{piece:?} in {before:?}"), format!("{before}{middle}{after}").into_bytes())
        });
        run(Target::named(name).unwrap(), inputs);
    }
}
