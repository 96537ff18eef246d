//! The tasks of all logs.

use std::{
    collections::{
        BTreeMap, BTreeSet,
        btree_map::Entry::{Occupied, Vacant},
    },
    sync::Arc,
};

use super::{
    Options, SILENCE_MS, Scan,
    state::{Entry, State},
};
use crate::Task;

/// Adds the work of sub-agents to the tasks that started it, and tells the tasks that have ended from the others.
pub(super) fn merge(options: &Options<'_>, state: &State, scan: &mut Scan) {
    let mut by_id: BTreeMap<_, Arc<Task>> = BTreeMap::new();
    let mut parts = Vec::new();
    for log in state.logs.values() {
        scan.without_usage += log.without_usage + log.last_without_usage;
        for Entry { task, is_part, .. } in log.closed.iter().chain(&log.last) {
            if *is_part {
                parts.push(task);
                continue;
            }
            match by_id.entry(task.id) {
                Vacant(entry) => drop(entry.insert(Arc::clone(task))),
                Occupied(mut entry) => {
                    // Copies of a log, of which one was cut. Each request is in one of them only.
                    let known = entry.get_mut();
                    let (last, other) =
                        if known.ended < task.ended { (task, &*known) } else { (&*known, task) };
                    let mut sum = Task::clone(last);
                    sum.add(other);
                    *known = Arc::new(sum);
                }
            }
        }
    }
    let mut tasks: Vec<Arc<Task>> = by_id.into_values().collect();
    tasks.sort_by_key(|it| (it.session, it.started));
    let is_silent = |task: &Task| options.now.saturating_sub(task.ended) >= SILENCE_MS;
    let is_going_on =
        |task: &Task| task.end.is_open() && !is_silent(task) && !state.has_stopped(task);
    let (mut alone, mut waiting) = (Vec::new(), BTreeSet::new());
    for part in parts {
        match parent(&mut tasks, part) {
            Some(task) => {
                if is_going_on(part) {
                    waiting.insert(task.id);
                }
                Arc::make_mut(task).add(part);
            }
            None => alone.push(Arc::clone(part)),
        }
    }
    tasks.extend(alone);
    tasks.sort_by_key(|it| (it.started, it.id));
    for mut task in tasks {
        // A sub-agent can go on in the background.
        if waiting.contains(&task.id) || is_going_on(&task) {
            scan.open.push(task);
        } else {
            if task.end.is_open() {
                let task = Arc::make_mut(&mut task);
                task.end = task.end.closed();
            }
            scan.tasks.push(task);
        }
    }
}

/// The last task of its session that started before the part.
fn parent<'a>(tasks: &'a mut [Arc<Task>], part: &Task) -> Option<&'a mut Arc<Task>> {
    let end = tasks.partition_point(|it| (it.session, it.started) <= (part.session, part.started));
    tasks.get_mut(end.checked_sub(1)?).filter(|it| it.session == part.session)
}
