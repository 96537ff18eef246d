//! Completed tasks.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use telemetry_model::{
    Complexity, Cost, EventBuilder, Harness, Outcome, Provider, Quality, QualityGate,
    RepoSizeCategory, TaskType, Tokens, model_vendor, uuid::Uuid,
};

use crate::{End, Notes, Status, Turn, Usage, hash::hash, language};

/// A turn of an agent that has ended, with what its sub-agents did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Identifies the task, also in copies of its log.
    pub id: Uuid,
    /// Hash of the session.
    pub(crate) session: u64,
    /// Properties that many tasks have in common, which share them.
    pub labels: Arc<Labels>,
    /// Unix milliseconds of the prompt.
    pub started: i64,
    /// Unix milliseconds of the last record.
    pub ended: i64,
    /// Milliseconds from the prompt to the stop.
    pub duration_ms: u64,
    /// Tokens of all requests.
    pub usage: Usage,
    /// Number of requests.
    pub requests: u64,
    /// Cost in microdollars of the requests that have a price.
    pub cost_microdollars: u64,
    /// Status of the gate that ran last.
    pub last_gate: Option<Status>,
    /// End of the turn.
    pub end: End,
    /// Retries of requests.
    pub retries: u64,
    /// Compactions of the context.
    pub compactions: u64,
    /// Share of the context window that the last request used; 0 if the log does not state the window.
    pub utilization: f64,
    /// Restrictions of the figures.
    pub notes: Notes,
}

/// Names and words of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Labels {
    /// The agent.
    pub harness: Harness,
    /// Name of the folder that the agent worked in, without its parents. Not part of the event.
    pub project: Option<String>,
    /// Size of the repository whose root this folder is, when the log was read: by the number of tracked files, `tiny`
    /// below 100, `small` below 1,000, `medium` below 10,000, `large` below 100,000.
    pub repo_size: Option<RepoSizeCategory>,
    /// The costliest model of the main loop; the one with the most tokens if one has no price.
    pub model: String,
    /// Vendor of the model; `unknown` if its name does not say.
    pub provider: Provider,
    /// Models without a price. If there are any, the cost of the task is unknown.
    pub unpriced: BTreeSet<String>,
    /// Quality gates that ran.
    pub gates_run: Vec<QualityGate>,
    /// Of those, the ones whose last run failed.
    pub gates_failed: Vec<QualityGate>,
    /// Planning or code review, if the log says so.
    pub task_type: TaskType,
    /// The language most edited.
    pub language: Option<String>,
}

/// Equal labels are in memory once: they are most of the memory of a task.
#[derive(Debug, Default)]
pub(crate) struct LabelPool(HashSet<Arc<Labels>>);

impl LabelPool {
    /// Replaces the labels of a task by equal ones.
    pub(crate) fn share(&mut self, task: &mut Task) {
        match self.0.get(&task.labels) {
            Some(known) => task.labels = Arc::clone(known),
            None => drop(self.0.insert(Arc::clone(&task.labels))),
        }
    }
}

/// Returns the cost of one request in microdollars, or `None` if the model has no price: its provider, its name, unix
/// milliseconds and the tokens.
pub type PriceOf<'a> = dyn Fn(&Provider, &str, i64, &Usage) -> Option<u64> + Sync + 'a;

/// Namespace of the ids of tasks.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f3a_8c1d_52b7_4e09_9d64_b1e8_27c5_f0a3);

impl Task {
    /// The task of a turn whose requests have their [costs](set_costs).
    pub(crate) fn of(turn: Turn, log: &dyn crate::Harness) -> Self {
        let (mut usage, mut cost, mut unpriced) = (Usage::default(), 0_u64, BTreeSet::new());
        // A part whose turn is in no log has helpers only.
        let has_main_loop = turn.requests.iter().any(|it| it.is_main_loop);
        let mut models: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for request in &turn.requests {
            usage += request.usage;
            let priced = request.cost_microdollars;
            cost = cost.saturating_add(priced.unwrap_or_default());
            if priced.is_none() {
                unpriced.insert(request.model.clone());
            }
            if request.is_main_loop || !has_main_loop {
                let sums = models.entry(&request.model).or_default();
                sums.0 = sums.0.saturating_add(priced.unwrap_or_default());
                sums.1 = sums.1.saturating_add(request.usage.total());
            }
        }
        let weight = |sums: (u64, u64)| if unpriced.is_empty() { sums } else { (sums.1, sums.0) };
        let model = models.into_iter().max_by_key(|(_, sums)| weight(*sums));
        let model = model.map(|it| it.0.to_owned()).unwrap_or_default();
        let last = turn.requests.iter().rfind(|it| it.is_main_loop);
        let utilization = match (last, turn.context_window) {
            (Some(last), Some(window)) if window > 0 => {
                (last.usage.total_input() as f64 / window as f64).min(1.0)
            }
            _ => 0.0,
        };
        let lasted = u64::try_from(turn.ended.saturating_sub(turn.started)).unwrap_or_default();
        let labels = Labels {
            harness: log.harness(),
            project: turn.project,
            repo_size: turn.repo_size,
            provider: provider_of(&model, log),
            model,
            unpriced,
            gates_run: turn.gates.run(),
            gates_failed: turn.gates.failed(),
            task_type: turn.task_type,
            language: language::of(&turn.edits).map(Into::into),
        };
        Self {
            id: Self::id_of(&labels.harness, &turn.key),
            session: hash(&turn.session),
            labels: labels.into(),
            started: turn.started,
            ended: turn.ended,
            duration_ms: turn.duration_ms.unwrap_or(lasted),
            usage,
            requests: turn.requests.len() as u64,
            cost_microdollars: cost,
            last_gate: turn.gates.last(),
            end: turn.end,
            retries: turn.retries,
            compactions: turn.compactions,
            utilization,
            notes: turn.notes,
        }
    }

    /// The id of the task with this [key](Turn::key).
    pub(crate) fn id_of(harness: &Harness, key: &str) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{harness} {key}").as_bytes())
    }

    /// Adds what a sub-agent or a compaction did.
    pub(crate) fn add(&mut self, part: &Self) {
        self.usage += part.usage;
        self.requests += part.requests;
        self.cost_microdollars = self.cost_microdollars.saturating_add(part.cost_microdollars);
        if !part.labels.unpriced.is_subset(&self.labels.unpriced) {
            let unpriced = &mut Arc::make_mut(&mut self.labels).unpriced;
            unpriced.extend(part.labels.unpriced.iter().cloned());
        }
        self.retries = self.retries.saturating_add(part.retries);
        self.compactions += part.compactions;
        self.notes.is_undercounted |= part.notes.is_undercounted;
        self.notes.has_unknown_usage |= part.notes.has_unknown_usage;
    }

    /// The cost in microdollars; `None` if a model has no price.
    #[must_use]
    pub fn cost(&self) -> Option<u64> {
        self.labels.unpriced.is_empty().then_some(self.cost_microdollars)
    }

    /// The outcome, as far as the log shows it; `None` without evidence: that an agent stopped does not mean that it
    /// succeeded.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match (self.end, self.last_gate) {
            (End::Interrupted | End::InToolCall, _) => Some(Outcome::Partial),
            (End::Failed, _) => Some(Outcome::Failure),
            (End::TimedOut, _) => Some(Outcome::Timeout),
            (_, Some(Status::Failed)) => Some(Outcome::Partial),
            (_, Some(Status::Passed)) => Some(Outcome::Success),
            (_, None) => None,
        }
    }

    /// The event that reports the task, with this outcome. Its id is the same each time.
    pub fn event(&self, instance_id: Uuid, outcome: Outcome) -> EventBuilder {
        let labels = &self.labels;
        let tokens = Tokens {
            actual_in: self.usage.total_input(),
            actual_out: self.usage.total_output(),
            ..Tokens::default()
        };
        let quality = Quality {
            passed: !labels.gates_run.is_empty() && labels.gates_failed.is_empty(),
            gates_run: labels.gates_run.clone(),
            gates_failed: labels.gates_failed.clone(),
        };
        let cost = Cost { actual: self.cost().unwrap_or_default(), ..Cost::default() };
        let context = telemetry_model::ContextWindow {
            compactions: self.compactions,
            utilization: self.utilization,
            ..Default::default()
        };
        let ended = u64::try_from(self.ended).unwrap_or_default();
        let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(ended);
        EventBuilder::new(instance_id)
            .event_id(self.event_id(instance_id))
            .timestamp(at)
            .task_type(labels.task_type.clone())
            .complexity(Complexity::Medium)
            .harness(labels.harness.clone())
            .provider(labels.provider.clone())
            .model(labels.model.clone())
            .outcome(outcome)
            .duration_ms(self.duration_ms)
            .tokens(tokens)
            .cost(cost)
            .quality(quality)
            .context(context)
            .language(labels.language.clone())
            .repo_size(labels.repo_size.clone())
            .retry_count(self.retries)
    }

    /// The id of the event of this task for an instance.
    #[must_use]
    pub fn event_id(&self, instance_id: Uuid) -> Uuid {
        Uuid::new_v5(&self.id, instance_id.as_bytes())
    }
}

/// Adds the costs that the log does not state, unless the model has no price.
pub(crate) fn set_costs(turn: &mut Turn, log: &dyn crate::Harness, price: &PriceOf<'_>) {
    let mut provider: Option<(&str, Provider)> = None;
    for request in &mut turn.requests {
        if request.usage.total() == 0 {
            request.cost_microdollars = Some(0);
        }
        if request.cost_microdollars.is_some() {
            continue;
        }
        let known = provider.take().filter(|(model, _)| *model == request.model);
        let (_, of_model) = provider
            .insert(known.unwrap_or_else(|| (&request.model, provider_of(&request.model, log))));
        request.cost_microdollars = price(of_model, &request.model, request.at, &request.usage);
    }
}

fn provider_of(model: &str, log: &dyn crate::Harness) -> Provider {
    model_vendor(model).unwrap_or_else(|| log.provider())
}

#[cfg(test)]
mod tests;
