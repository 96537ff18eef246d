//! Reading what is new.

use std::{
    collections::{BTreeMap, HashSet},
    io, mem,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    Options, Unreadable,
    files::Log,
    state::{self, Entry, State},
};
use crate::{
    Checkpoint, Found, Task, Turn,
    hash::hash,
    task::{LabelPool, set_costs},
};

/// The number of logs that are read before what was found in them is merged. Bounds the memory.
const AT_ONCE: usize = 64;

/// Facts of all turns.
#[derive(Default)]
struct Known {
    ids: Ids,
    labels: LabelPool,
}

/// Hashes of the ids of requests. A set that grows is in memory twice for a moment: these grow one by one.
#[derive(Default)]
struct Ids([HashSet<u64>; 32]);

impl Ids {
    /// False if it was known.
    fn insert(&mut self, id: u64) -> bool {
        self.set(id).insert(id)
    }

    fn remove(&mut self, id: u64) {
        self.set(id).remove(&id);
    }

    fn set(&mut self, id: u64) -> &mut HashSet<u64> {
        let count = self.0.len() as u64;
        &mut self.0[(id % count) as usize]
    }
}

type Reading = io::Result<(Found, Checkpoint)>;

/// Reads the logs that have changed, and returns the number of bad lines. What is in several logs counts for the first
/// of them by harness and path, or for the one that was read in an earlier scan.
pub(super) fn read(
    options: &Options<'_>,
    logs: &[Log<'_>],
    state: &mut State,
    unreadable: &mut Vec<Unreadable>,
) -> u64 {
    let changed = changed(logs, state, unreadable);
    if changed.is_empty() {
        return 0;
    }
    let known = state.logs.values().flat_map(|it| it.closed.iter().chain(&it.last));
    let known = known.flat_map(|it| &it.ids);
    let mut all = Known::default();
    known.for_each(|id| _ = all.ids.insert(*id));
    let mut bad_lines = 0;
    for some in changed.chunks(AT_ONCE) {
        for ((log, _), reading) in some.iter().zip(read_some(options, some)) {
            match reading {
                Ok((found, checkpoint)) => {
                    bad_lines += found.bad_lines;
                    add(log, found, checkpoint, state, &mut all);
                }
                Err(error) => {
                    // What was found in it before stays, also because copies of it do not have it.
                    state.retry(log);
                    unreadable.push(Unreadable { path: log.path.clone(), error });
                }
            }
        }
    }
    bad_lines
}

/// The logs that have changed, and where to read on.
fn changed<'a, 'b>(
    logs: &'a [Log<'b>],
    state: &mut State,
    unreadable: &mut Vec<Unreadable>,
) -> Vec<(&'a Log<'b>, Checkpoint)> {
    let mut starts = BTreeMap::new();
    loop {
        let mut rewritten = Vec::new();
        for log in logs {
            match state.begin(log) {
                Ok(Some(start)) => {
                    rewritten.extend(start.is_rewritten.then(|| log.harness.harness()));
                    starts.insert(log.key, Ok((log, start.checkpoint)));
                }
                Ok(None) => {}
                Err(error) => {
                    starts.insert(log.key, Err(Unreadable { path: log.path.clone(), error }));
                }
            }
        }
        // What a rewritten log does not have any more may be in a copy of it.
        for log in logs.iter().filter(|log| rewritten.contains(&log.harness.harness())) {
            if state.logs.get(&log.key).is_some_and(|it| it.has_copies) {
                state.logs.remove(&log.key);
            }
        }
        if rewritten.is_empty() {
            break;
        }
    }
    let starts = logs.iter().filter_map(|log| starts.remove(&log.key));
    starts.filter_map(|start| start.map_err(|error| unreadable.push(error)).ok()).collect()
}

/// Reads logs with several threads. The results are in the order of the logs.
fn read_some(options: &Options<'_>, logs: &[(&Log<'_>, Checkpoint)]) -> Vec<Reading> {
    let (next, (sender, receiver)) = (AtomicUsize::new(0), mpsc::channel());
    let read_next = |sender: mpsc::Sender<(usize, Reading)>| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((log, from)) = logs.get(index) else { break };
            let mut found = Found::default();
            let reading = log.harness.read(&log.path, from, &mut found);
            for turn in &mut found.turns {
                set_costs(turn, log.harness, options.price);
            }
            let _ = sender.send((index, reading.map(|to| (found, to))));
        }
    };
    thread::scope(|scope| {
        for _ in 1..options.threads.min(logs.len()) {
            let sender = sender.clone();
            scope.spawn(|| read_next(sender));
        }
        read_next(sender);
    });
    let mut readings: Vec<_> = receiver.into_iter().collect();
    readings.sort_by_key(|(index, _)| *index);
    readings.into_iter().map(|(_, reading)| reading).collect()
}

/// Adds what was found in a log. `all` has the ids of all other turns.
fn add(log: &Log<'_>, found: Found, checkpoint: Checkpoint, state: &mut State, all: &mut Known) {
    let Some(known) = state.logs.get_mut(&log.key) else { return };
    let mut before = mem::take(&mut known.last);
    known.last_without_usage = 0;
    let count = found.turns.len();
    for (mut turn, rest) in found.turns.into_iter().zip((0..count).rev()) {
        let is_last = rest == 0 || turn.end.is_open();
        if let (true, Some(first)) = (turn.key.is_empty(), turn.requests.first()) {
            // It is a task if its turn is in no log.
            turn.key = format!("part {}", first.id);
        }
        let id =
            (Task::id_of(&log.harness.harness(), &turn.key), hash(&turn.session), turn.started);
        if let Some(index) = before.iter().position(|it| it.identity() == id) {
            // Its requests count again.
            before.swap_remove(index).ids.iter().for_each(|id| all.ids.remove(*id));
        }
        match entry(turn, log, all, &mut known.has_copies) {
            None if is_last => known.last_without_usage += 1,
            None => known.without_usage += 1,
            Some(entry) if is_last => known.last.push(entry),
            Some(entry) => known.closed.push(entry),
        }
    }
    known.closed.append(&mut before);
    known.closed.shrink_to_fit();
    // If it cannot be read, the next scan reads all of it.
    known.tail = state::tail(&log.path, checkpoint.offset).unwrap_or_default();
    known.checkpoint = checkpoint;
}

/// `None` if another turn has all requests.
fn entry(mut turn: Turn, log: &Log<'_>, all: &mut Known, has_copies: &mut bool) -> Option<Entry> {
    let mut own = Vec::new();
    turn.requests.retain(|request| {
        if request.id.is_empty() {
            return true;
        }
        let id = hash(&request.id);
        let is_new = all.ids.insert(id);
        if is_new {
            own.push(id);
        }
        *has_copies |= !is_new;
        is_new
    });
    if turn.requests.is_empty() {
        return None;
    }
    let is_part = turn.is_part;
    let mut task = Task::of(turn, log.harness);
    all.labels.share(&mut task);
    Some(Entry { task: task.into(), is_part, ids: own.into() })
}
