mod ends;
mod forks;
mod growth;
mod shapes;
mod store;
mod usage;

use std::path::Path;

use self::store::{Layout, Store};
use super::Opencode;
use crate::{Checkpoint, Found, Harness, Turn, Usage};

/// Reads a log from the start.
fn read(path: &Path) -> Found {
    let mut found = Found::default();
    Opencode.read(path, &Checkpoint::default(), &mut found).unwrap();
    found
}

/// The turns of all logs of a store.
fn turns(store: &Store) -> Vec<Turn> {
    store.logs().iter().flat_map(|log| read(log).turns).collect()
}

/// All layouts that this build reads.
fn layouts() -> Vec<Layout> {
    let mut layouts = vec![Layout::Files];
    if cfg!(feature = "opencode-db") {
        layouts.extend([Layout::First, Layout::Second]);
    }
    layouts
}

fn usage(turn: &Turn) -> Usage {
    turn.requests.iter().fold(Usage::default(), |sum, request| sum + request.usage)
}
