//! Tasks of real coding agents, which run without a network before a scripted model server. Only among the long tests,
//! and where they are installed: in the folders of `TELEMETRY_HARNESSES`, or in those of `PATH`.

mod server;
mod shapes;
mod table;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use mosaicstack_telemetry::model::TaskCompletionEvent;
use serde_json::Value;
use telemetry_collector::Collector;

use self::{
    server::{Server, Step},
    table::{Expected, Harness},
};
use crate::home::{Home, INSTANCE, KEY, text};

/// Set in the process that runs without a network.
const ALONE: &str = "TELEMETRY_WITHOUT_NETWORK";

/// Time for a hook to report.
const AMPLE: Duration = Duration::from_secs(60);

#[test]
fn tasks_of_codex_are_found_and_reported() {
    println!("{}", check(&table::CODEX));
}

#[test]
fn tasks_of_opencode_are_found_and_reported() {
    println!("{}", check(&table::OPENCODE));
}

#[test]
fn tasks_of_gemini_cli_are_found_and_reported() {
    println!("{}", check(&table::GEMINI_CLI));
}

#[test]
fn tasks_of_aider_are_found_and_reported() {
    println!("{}", check(&table::AIDER));
}

#[test]
fn tasks_of_claude_code_are_found_and_reported() {
    println!("{}", check(&table::CLAUDE_CODE));
}

/// Runs the calling test again without a network, or the harness if this is that process. Returns what was run.
fn check(harness: &Harness) -> String {
    let name = harness.name;
    if env::var_os(ALONE).is_some() {
        harness.runs.iter().for_each(|(script, expected)| harness.check(script, expected.as_ref()));
        return format!("{name}: {} scripts", harness.runs.len());
    }
    if env::var_os("TELEMETRY_LONG_TESTS").is_none() {
        return format!("{name}: skipped, not among the long tests");
    }
    let Some(program) = harness.program() else {
        return format!("{name}: skipped, needs `{}`", harness.install);
    };
    if !alone("true").status().is_ok_and(|it| it.success()) {
        return format!("{name}: skipped, needs network namespaces (`unshare -rn`)");
    }
    let version = harness.version(&program);
    let test = thread::current().name().expect("the name of the test").to_owned();
    let program = env::current_exe().expect("the test");
    let mut command = alone(program.to_str().expect("text"));
    let status = command.args(["--exact", &test, "--nocapture"]).env(ALONE, "1").status();
    assert!(status.expect("it starts").success(), "{name} {version}");
    format!("{name}: ran {version}")
}

/// Calls a program in a network namespace with loopback only.
fn alone(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c", r#"ip link set lo up && exec "$0" "$@""#, program]);
    command
}

/// The folders of programs.
fn path() -> String {
    ["TELEMETRY_HARNESSES", "PATH"].map(|it| env::var(it).unwrap_or_default()).join(":")
}

impl Harness {
    fn program(&self) -> Option<PathBuf> {
        env::split_paths(&path()).map(|it| it.join(self.program)).find(|it| it.is_file())
    }

    fn version(&self, program: &Path) -> String {
        let home = Home::empty();
        let mut command = alone(program.to_str().expect("text"));
        let output = command.arg("--version").env_clear().env("PATH", path());
        let (code, out, err) = text(output.env("HOME", &home.path).output().expect("it starts"));
        assert_eq!(code, Some(0), "{}: {out}{err}", self.name);
        out.lines().next().unwrap_or_default().to_owned()
    }

    fn check(&self, script: &'static [Step], expected: Option<&Expected>) {
        let (server, collector) = (Server::start(script), Collector::start().expect("a port"));
        let home = Home::empty();
        configure(&home, collector.url());
        self.prepare(&home, &server);
        let shown = format!("{}, {script:?}: {}", self.name, self.run(&home, &server));
        let sent = server.sent();
        let Some(&Expected { gates: [run, failed], outcome, is_hooked }) = expected else {
            assert_eq!(home.run("scan --json"), "[]\n", "{shown}");
            return;
        };
        if is_hooked {
            let arrived = collector.wait_for(AMPLE, |it| it.accepted > 0);
            assert!(arrived, "{}\n{shown}", home.run("status --offline"));
            // The background process frees the lock at its end.
            let lock = fs::File::open(home.path.join(".local/state/mosaic-telemetry/lock"));
            lock.and_then(|it| it.lock()).expect("a lock");
        }
        let tasks: Value = serde_json::from_str(&home.run("scan --json")).expect("JSON");
        let [task] = tasks.as_array().expect("a list").as_slice() else {
            panic!("{tasks}\n{shown}")
        };
        let tokens =
            ["input_tokens", "output_tokens"].map(|it| task[it].as_u64().expect("a number"));
        assert_eq!(tokens, sent, "{task}\n{shown}");
        let names = ["harness", "project", "model", "gates_run", "gates_failed", "outcome"];
        let texts =
            [Some(self.name), self.project, Some(self.model), Some(run), Some(failed), outcome];
        assert_eq!(names.map(|it| task[it].as_str()), texts, "{shown}");
        let mut report = "report --since 1d";
        if outcome.is_none() {
            assert_eq!(home.run(report), "sent: 0\n", "{shown}");
            report = "report --since 1d --assume-outcome success";
        }
        if !is_hooked {
            assert_eq!(home.run(report), "sent: 1\n", "{shown}");
        }
        assert_eq!(home.run(report), "sent: 0\nsent before: 1\n", "{shown}");
        let events = home.run(&report.replace("report", "scan --events"));
        let event: TaskCompletionEvent = serde_json::from_str(&events).expect("an event");
        let ids: Vec<_> = collector.events().iter().map(|it| it.event_id).collect();
        assert_eq!((ids, collector.totals().duplicates), (vec![event.event_id], 0), "{shown}");
    }

    /// Writes a project, settings and hook.
    fn prepare(&self, home: &Home, server: &Server) {
        fs::create_dir(home.path.join("shop")).expect("a file");
        fs::write(home.path.join("shop/package.json"), PACKAGE).expect("a file");
        let settings = home.path.join(self.settings.0);
        fs::create_dir_all(settings.parent().expect("a folder")).expect("a file");
        fs::write(&settings, self.settings.1.replace("{server}", &server.url)).expect("a file");
        if let Some(hook) = self.hook {
            home.run(&format!("hook install {hook}"));
        }
    }

    /// Returns the exit status and the output.
    fn run(&self, home: &Home, server: &Server) -> String {
        let mut command = Command::new(self.program().expect("it is installed"));
        command.args(self.arguments).current_dir(home.path.join("shop"));
        command.env_clear().env("PATH", path()).env("HOME", &home.path).stdin(Stdio::null());
        for (name, value) in self.variables {
            command.env(name, value.replace("{server}", &server.url));
        }
        let (code, out, err) = text(command.output().expect("it starts"));
        format!("{code:?}\n{out}\n{err}")
    }
}

const PACKAGE: &str = r#"{"name": "shop", "scripts": {"test": "true", "lint": "exit 3"}}"#;

/// In its file: agents do not pass all variables on.
fn configure(home: &Home, url: &str) {
    home.run(&format!("config set server_url {url}"));
    home.run(&format!("config set instance_id {INSTANCE}"));
    let key = home.path.join("key");
    fs::write(&key, KEY).expect("a file");
    let mut command = home.command("config set api_key");
    let output = command.stdin(fs::File::open(key).expect("a file")).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0));
}
