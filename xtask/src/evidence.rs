//! `cargo xtask evidence`: what takes minutes or a special build to show, and a table of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::cargo::{Cargo, cargo};
use crate::checkers;
use crate::fuzz;
use crate::outage;

/// Makes tests try more than usual, and say what they tried.
const VARIABLE: &str = "TELEMETRY_EVIDENCE";

/// What such a line of a test's output begins with; `tests/src/evidence.rs` writes them.
const MARK: &str = "evidence ";

/// One command that shows claims of `docs/reliability.md`.
struct Exhibit {
    name: &'static str,
    claims: &'static [&'static str],
    command: Cargo,
    /// Why it cannot be run on this machine, if so.
    missing: Option<String>,
    /// Whether it runs beside the others, since it takes minutes and little of the machine.
    is_aside: bool,
}

struct Outcome {
    exhibit: Exhibit,
    tried: Vec<(String, String)>,
    verdict: Verdict,
    took: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Shown,
    Failed(String),
    PassedOver(String),
}

fn exhibits() -> Vec<Exhibit> {
    vec![
        Exhibit { is_aside: true, ..it("soak", &["R2", "R7"], "soak::") },
        it("hand-over", &["R1"], "hand_over::track_allocates_once"),
        it("latency", &["R1"], "hand_over::latency::"),
        it("plateau", &["R2"], "plateau::"),
        it("model", &["R3", "R4", "R7", "R8"], "model::"),
        of("loom", &["R4", "R6"], "xtask ci loom"),
        of("queue", &["R4"], "test --release -p telemetry-queue --test stress -- --nocapture"),
        it("stress", &["R3", "R4"], "stress::"),
        Exhibit { missing: checkers::miri().missing, ..of("miri", &["R4"], "xtask miri") },
        Exhibit { missing: checkers::tsan().missing, ..of("tsan", &["R4"], "xtask tsan") },
        it("teardown", &["R5"], "teardown::"),
        it("iterations", &["R6"], "iterations::"),
        it("duplicates", &["R7"], "duplicates::"),
        Exhibit { command: outage::command("--check"), ..of("outage", &["R9"], "") },
        it("statuses", &["R10"], "schedule::statuses::"),
        it("panics", &["R11"], "panics::"),
        it("lifecycle", &["R12", "R15"], "lifecycle::"),
        it("security", &["R14"], "security::"),
        it("hostile", &["R16"], "hostile::"),
        it("wire", &["R17"], "wire::"),
        it("corpus", &["R17"], "fuzz::"),
        it("predictions", &["R18"], "nonblocking::predictions::"),
        Exhibit { missing: fuzz::missing(), ..of("fuzz", &fuzz::CLAIMS, "xtask fuzz") },
    ]
}

fn of(name: &'static str, claims: &'static [&'static str], command: &str) -> Exhibit {
    Exhibit { name, claims, command: cargo(command), missing: None, is_aside: false }
}

/// Tests of the crates together.
fn it(name: &'static str, claims: &'static [&'static str], filter: &str) -> Exhibit {
    let command = format!("test --release -p telemetry-tests --test it -- --nocapture {filter}");
    of(name, claims, &command)
}

/// Runs the named exhibits, or all if none is named, whatever fails; prints the table and returns
/// whether every claim was shown or passed over.
///
/// With `--list` the commands are printed instead. Fails if an exhibit is unknown.
pub(crate) fn run(root: &Path, args: &[&str]) -> Result<bool, String> {
    let (options, names): (Vec<&str>, Vec<&str>) = args.iter().partition(|&&arg| arg == "--list");
    let exhibits = select(exhibits(), &names)?;
    if !options.is_empty() {
        exhibits.iter().for_each(|exhibit| println!("{}", exhibit.command));
        return Ok(true);
    }
    let (aside, others): (Vec<_>, Vec<_>) = exhibits.into_iter().partition(|it| it.is_aside);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let aside: Vec<_> =
            aside.into_iter().map(|exhibit| scope.spawn(|| exhibit.show(root))).collect();
        let mut outcomes: Vec<_> = others.into_iter().map(|exhibit| exhibit.show(root)).collect();
        outcomes.extend(aside.into_iter().filter_map(|thread| thread.join().ok()));
        outcomes
    });
    report(&outcomes);
    Ok(!outcomes.iter().any(|it| matches!(it.verdict, Verdict::Failed(_))))
}

fn select(exhibits: Vec<Exhibit>, names: &[&str]) -> Result<Vec<Exhibit>, String> {
    let known: Vec<&str> = exhibits.iter().map(|exhibit| exhibit.name).collect();
    let unknown: Vec<&str> = names.iter().filter(|&name| !known.contains(name)).copied().collect();
    if !unknown.is_empty() {
        let (unknown, known) = (unknown.join(" "), known.join(" "));
        return Err(format!("no such exhibit: {unknown}; there are: {known}"));
    }
    let is_named = |exhibit: &Exhibit| names.is_empty() || names.contains(&exhibit.name);
    Ok(exhibits.into_iter().filter(is_named).collect())
}

impl Exhibit {
    #[expect(clippy::disallowed_methods, reason = "how long it takes is for a person to read")]
    fn show(self, root: &Path) -> Outcome {
        println!("\n[{}]", self.name);
        if let Some(reason) = &self.missing {
            println!("passed over: {reason}");
            let verdict = Verdict::PassedOver(reason.clone());
            return Outcome { exhibit: self, tried: Vec::new(), verdict, took: Duration::ZERO };
        }
        let start = Instant::now();
        println!("{}", self.command);
        let (output, succeeded) = self.command.clone().with(VARIABLE, "1").echoed(root);
        let tried = tried(&output);
        let verdict = judge(self.claims, &tried, succeeded);
        Outcome { exhibit: self, tried, verdict, took: start.elapsed() }
    }
}

/// The claims that the output names, and what was tried for each.
fn tried(output: &str) -> Vec<(String, String)> {
    let lines = output.lines().filter_map(|line| {
        // The test's own name may stand before it.
        let (_, said) = line.split_once(MARK)?;
        let (claim, what) = said.split_once(": ")?;
        Some((claim.to_owned(), what.to_owned()))
    });
    lines.collect()
}

/// A claim is shown if its command succeeds and says what it tried: a filter that finds no test
/// succeeds, too.
fn judge(claims: &[&str], tried: &[(String, String)], succeeded: bool) -> Verdict {
    if !succeeded {
        return Verdict::Failed("the command failed".into());
    }
    let named: BTreeSet<&str> = tried.iter().map(|(claim, _)| claim.as_str()).collect();
    let silent: Vec<&str> =
        claims.iter().filter(|&claim| !named.contains(claim)).copied().collect();
    if silent.is_empty() {
        return Verdict::Shown;
    }
    Verdict::Failed(format!("nothing was tried for {}", silent.join(" ")))
}

fn report(outcomes: &[Outcome]) {
    println!("\n{:<6} {:<12} {:>7}  result", "claim", "exhibit", "seconds");
    for Outcome { exhibit, tried, verdict, took } in outcomes {
        let (name, seconds) = (exhibit.name, took.as_secs_f64());
        let line = |claim: &str, result: &str| {
            println!("{claim:<6} {name:<12} {seconds:>7.1}  {result}");
        };
        tried.iter().for_each(|(claim, what)| line(claim, &format!("tried {what}")));
        match verdict {
            Verdict::Shown => line(&exhibit.claims.join(" "), "ok"),
            Verdict::Failed(reason) => {
                line(&exhibit.claims.join(" "), &format!("FAILED: {reason}"))
            }
            Verdict::PassedOver(reason) => {
                line(&exhibit.claims.join(" "), &format!("passed over: {reason}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_read_from_the_output() {
        let output =
            "running 1 test\ntest books::all ... evidence R3: 7 schedules\nevidence R4: 8\nok";
        let expected = [("R3", "7 schedules"), ("R4", "8")];
        assert_eq!(tried(output), expected.map(|(claim, what)| (claim.into(), what.into())));
    }

    #[test]
    fn a_claim_that_nothing_was_tried_for_is_not_shown() {
        let said = tried("evidence R3: 7 schedules");
        assert_eq!(judge(&["R3"], &said, true), Verdict::Shown);
        assert_eq!(judge(&["R3"], &said, false), Verdict::Failed("the command failed".into()));
        let silent = Verdict::Failed("nothing was tried for R4".into());
        assert_eq!(judge(&["R3", "R4"], &said, true), silent);
    }

    #[test]
    fn each_claim_names_exhibits_of_its_own() {
        let page = std::fs::read_to_string(crate::tree::root().join("docs/reliability.md"));
        let (page, known) = (page.unwrap(), exhibits());
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| R")).collect();
        for row in &rows {
            let claim = row.split('|').nth(1).unwrap().trim();
            let quoted = row.split('`').skip(1).step_by(2);
            let named: Vec<&str> =
                quoted.filter_map(|it| it.strip_prefix("cargo xtask evidence ")).collect();
            assert!(!named.is_empty(), "{claim}");
            for name in named {
                let is_its = |it: &Exhibit| it.name == name && it.claims.contains(&claim);
                assert!(known.iter().any(is_its), "{claim}: {name}");
            }
        }
        assert_eq!(rows.len(), 17);
    }

    #[test]
    fn selects_the_named_exhibits_and_all_by_default() {
        assert_eq!(select(exhibits(), &[]).unwrap().len(), exhibits().len());
        assert_eq!(select(exhibits(), &["model"]).unwrap().len(), 1);
        let error = select(exhibits(), &["motel"]).err().unwrap();
        assert!(error.starts_with("no such exhibit: motel; there are: "), "{error}");
    }
}
