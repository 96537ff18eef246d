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
    let count = evidence::scale(300, 20_000);
    let changed = |target: Target| {
        let inputs = corpus(target).into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(inputs, SEED);
        let changes = (0..count).map(|number| {
            let mut input = mutator.changed();
            input.truncate(MAX_BYTES);
            (format!("change {number} of seed {SEED}"), input)
        });
        faults(target, changes)
    };
    none(TARGETS.map(changed));
}
