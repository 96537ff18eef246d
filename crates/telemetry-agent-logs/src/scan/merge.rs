//! The tasks of all logs.

use std::{collections::BTreeMap, sync::Arc};

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
            let known = by_id.entry(task.id).or_insert_with(|| Arc::clone(task));
            // Copies of a log can differ if one of them was cut.
            if known.usage.total() < task.usage.total() {
                known.clone_from(task);
            }
        }
    }
    let mut tasks: Vec<Arc<Task>> = by_id.into_values().collect();
    tasks.sort_by_key(|it| (it.session, it.started));
    let mut alone = Vec::new();
    for part in parts {
        match parent(&mut tasks, part) {
            Some(task) => Arc::make_mut(task).add(part),
            None => alone.push(Arc::clone(part)),
        }
    }
    tasks.extend(alone);
    tasks.sort_by_key(|it| (it.started, it.id));
    for mut task in tasks {
        let is_silent = options.now.saturating_sub(task.ended) >= SILENCE_MS;
        if task.end.is_open() && !is_silent {
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
