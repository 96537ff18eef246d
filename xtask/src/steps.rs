//! Named steps that are timed, and a table of their results.

use std::time::{Duration, Instant};

/// Runs every selected step, also after one has failed.
pub(crate) struct Steps<'a> {
    /// All steps are selected if this is empty.
    selected: &'a [&'a str],
    known: Vec<&'static str>,
    failed: Vec<&'static str>,
    table: String,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(selected: &'a [&'a str]) -> Self {
        Self { selected, known: Vec::new(), failed: Vec::new(), table: String::new() }
    }

    #[expect(clippy::disallowed_methods, reason = "the duration is only printed")]
    pub(crate) fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), String>) {
        if !self.is_selected(name) {
            return;
        }
        println!("\n[{name}]");
        let start = Instant::now();
        let result = step();
        let took = start.elapsed();
        self.failed.extend(result.is_err().then_some(name));
        self.row(
            name,
            took,
            &result.map_or_else(|it| format!("FAILED: {it}"), |()| "passed".into()),
        );
    }

    /// A step that is skipped on machines that lack what it `needs`.
    pub(crate) fn step_if(
        &mut self,
        is_possible: bool,
        needs: &str,
        name: &'static str,
        step: impl FnOnce() -> Result<(), String>,
    ) {
        if is_possible {
            self.step(name, step);
        } else if self.is_selected(name) {
            self.row(name, Duration::ZERO, &format!("skipped: needs {needs}"));
        }
    }

    fn is_selected(&mut self, name: &'static str) -> bool {
        self.known.push(name);
        self.selected.is_empty() || self.selected.contains(&name)
    }

    fn row(&mut self, name: &str, took: Duration, result: &str) {
        self.table += &format!("\n{name:<12} {:>7.1}  {result}", took.as_secs_f64());
    }

    /// Prints the table.
    ///
    /// # Errors
    ///
    /// A step failed, or a selected one does not exist.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("\n{:<12} {:>7}  result{}", "step", "seconds", self.table);
        match self.selected.iter().find(|name| !self.known.contains(name)) {
            Some(unknown) => {
                Err(format!("no such step: {unknown}; known: {}", self.known.join(" ")))
            }
            None if self.failed.is_empty() => Ok(()),
            None => Err(format!("failed: {}", self.failed.join(" "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(selected: &[&str]) -> (Vec<&'static str>, Result<(), String>) {
        let (mut ran, mut steps) = (Vec::new(), Steps::new(selected));
        steps.step("bad", || Err("broken".into()));
        steps.step("good", || {
            ran.push("good");
            Ok(())
        });
        steps.step_if(false, "a tool", "absent", || Err("not skipped".into()));
        (ran, steps.finish())
    }

    #[test]
    fn selected_steps_run_and_failures_are_reported_at_the_end() {
        assert_eq!(run(&[]), (vec!["good"], Err("failed: bad".into())));
        assert_eq!(run(&["good", "absent"]), (vec!["good"], Ok(())));
        assert_eq!(run(&["goods"]).1, Err("no such step: goods; known: bad good absent".into()));
    }
}
