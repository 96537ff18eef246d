//! Section `scans`: reading the logs of coding agents, beside ccusage, and the hook that agents call.

mod logs;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::logs::Agent;
use crate::{Result, child, figures::Figures};

const ROUNDS: usize = 5;

/// The files of each agent, and the bytes of each of them: 1 GB.
const FILES: u64 = 500;
const FILE_BYTES: u64 = 2_000_000;

/// As many files have 10 GB.
const MANY_FILES: u64 = 5_000;

/// The bytes of the log that lies beside the hook.
const LARGE_FILE_BYTES: u64 = 500_000_000;

const HOOKS: usize = 400;

const OURS: &str = "mosaic-telemetry";
const AGAIN: &str = "mosaic-telemetry, again";
const CCUSAGE: &str = "ccusage";
const HOOK: &str = "hook";
const HELLO: &str = "hello world";

/// Resources that a process used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    wall: Duration,
    cpu: Duration,
    peak_kib: i64,
}

/// Measures the folders of each agent, and the hook.
///
/// ccusage is compared if it is in `PATH`.
pub(crate) fn measure() -> Result<Figures> {
    let mut figures = Figures::default();
    for agent in [Agent::ClaudeCode, Agent::Codex] {
        let folder = Folder::new(agent.name())?;
        agent.generate(&folder.0, 0..FILES, FILE_BYTES)?;
        compare(&folder.0, agent, &mut figures)?;
        agent.generate(&folder.0, FILES..MANY_FILES, FILE_BYTES)?;
        let case = format!("{}, 10 GB", agent.name());
        add(&mut figures, &case, OURS, &scan(&folder.0, "many")?);
        add(&mut figures, &case, AGAIN, &scan(&folder.0, "many")?);
    }
    hooks(&mut figures)?;
    Ok(figures)
}

fn compare(folder: &Path, agent: Agent, figures: &mut Figures) -> Result<()> {
    let case = format!("{}, 1 GB", agent.name());
    let ccusage = find("ccusage");
    if ccusage.is_none() {
        eprintln!("not beside ccusage: `npm install --global ccusage@20.0.24`");
    }
    for round in 0..ROUNDS {
        let state = format!("state-{round}");
        // In turn the first, so that each finds the files in the memory of the system as often.
        for is_ours in [round % 2 == 0, round % 2 != 0] {
            if is_ours {
                add(figures, &case, OURS, &scan(folder, &state)?);
                add(figures, &case, AGAIN, &scan(folder, &state)?);
            } else if let Some(ccusage) = &ccusage {
                add(figures, &case, CCUSAGE, &run(&agent.ccusage(ccusage, folder))?);
            }
        }
    }
    if let Some(ccusage) = &ccusage {
        check(folder, agent, ccusage)?;
    }
    Ok(())
}

fn add(figures: &mut Figures, case: &str, contender: &str, used: &Used) {
    let cpu = used.cpu.as_secs_f64();
    eprintln!("scans: {case}: {contender}: {:?}, {cpu:.2} s, {} KiB", used.wall, used.peak_kib);
    figures.add(case, contender, "wall, ms", used.wall.as_secs_f64() * 1e3);
    figures.add(case, contender, "CPU, ms", cpu * 1e3);
    figures.add(case, contender, "peak memory, MiB", used.peak_kib as f64 / 1024.0);
}

/// The totals are equal, token for token: none of the two reads less than the other.
fn check(folder: &Path, agent: Agent, ccusage: &Path) -> Result<()> {
    let [ours, theirs] = [scan_command(folder, "check"), agent.ccusage(ccusage, folder)]
        .map(|command| -> Result<Value> { Ok(serde_json::from_slice(&output(&command)?)?) });
    let (ours, theirs) = (ours?, &theirs?["totals"]);
    let tasks = ours.as_array().ok_or("a scan prints a list")?;
    let sum = |key: &str| tasks.iter().filter_map(|it| it[key].as_u64()).sum::<u64>();
    let total = |keys: &[&str]| keys.iter().filter_map(|it| theirs[*it].as_u64()).sum::<u64>();
    let input = total(&["inputTokens", "cacheReadTokens", "cacheCreationTokens"]);
    let (ours, theirs) =
        ((sum("input_tokens"), sum("output_tokens")), (input, total(&["outputTokens"])));
    eprintln!(
        "scans: {}: {} tasks, tokens {ours:?}, ccusage {theirs:?}",
        agent.name(),
        tasks.len()
    );
    if ours == theirs { Ok(()) } else { Err("the totals differ from those of ccusage".into()) }
}

/// A program, its arguments, and its environment.
type Program = (PathBuf, Vec<String>, Vec<(String, String)>);

fn scan(folder: &Path, state: &str) -> Result<Used> {
    run(&scan_command(folder, state))
}

fn scan_command(folder: &Path, state: &str) -> Program {
    let arguments = ["scan", "--json"].map(str::to_owned).to_vec();
    let mut variables = home(folder);
    let state = folder.join(state).display().to_string();
    variables.push(("XDG_STATE_HOME".to_owned(), state));
    (ours(), arguments, variables)
}

fn home(folder: &Path) -> Vec<(String, String)> {
    vec![("HOME".to_owned(), folder.display().to_string())]
}

fn ours() -> PathBuf {
    env::current_exe().unwrap_or_default().with_file_name("mosaic-telemetry")
}

fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|it| it.join(program)).find(|it| it.exists())
}

fn command((program, arguments, variables): &Program) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    // ccusage starts with `env`.
    command.envs(env::var_os("PATH").map(|it| ("PATH", it)));
    command.stdin(Stdio::null());
    command
}

fn output(program: &Program) -> Result<Vec<u8>> {
    let output = command(program).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", program.0.display(), output.status).into());
    }
    Ok(output.stdout)
}

/// Runs a program in a separate child process, so that the peak of its memory is known.
fn run(program: &Program) -> Result<Used> {
    child::finish(child::start(&["scan-child", &serde_json::to_string(program)?])?)
}

/// The child process: runs the program to its end.
pub(crate) fn child(program: &str) -> Result<Used> {
    let program: Program = serde_json::from_str(program)?;
    let from = Instant::now();
    let status = command(&program).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let wall = from.elapsed();
    if !status.success() {
        return Err(format!("{} failed: {status}", program.0.display()).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(Used { wall, cpu: cpu(&usage), peak_kib: usage.max_rss() })
}

fn cpu(usage: &Usage) -> Duration {
    let [user, system] = [usage.user_time(), usage.system_time()];
    let micros = (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
    Duration::from_micros(micros.unsigned_abs())
}

/// The hook as a process, with a large log in the folder of the agent. Telemetry is off, so that what it starts ends soon.
fn hooks(figures: &mut Figures) -> Result<()> {
    let case = "a hook, with a log of 500 MB";
    let folder = Folder::new("hook")?;
    Agent::ClaudeCode.generate(&folder.0, 0..1, LARGE_FILE_BYTES)?;
    let mut variables = home(&folder.0);
    variables.push(("MOSAIC_TELEMETRY_ENABLED".to_owned(), "false".to_owned()));
    let hello = env::current_exe()?.with_file_name("hook_hello");
    let programs = [
        (HELLO, (hello, Vec::new(), Vec::new())),
        (HOOK, (ours(), vec!["hook".to_owned(), "claude-code".to_owned()], variables)),
    ];
    for round in 0..ROUNDS {
        let mut medians = Vec::new();
        for (name, program) in &programs {
            let mut times = Vec::new();
            for _ in 0..HOOKS {
                let from = Instant::now();
                output(program)?;
                times.push(from.elapsed());
            }
            times.sort_unstable();
            let median = times.get(HOOKS / 2).copied().unwrap_or_default().as_secs_f64() * 1e3;
            eprintln!("scans, round {round}: {case}: {name}: {median:.2} ms");
            figures.add(case, name, "p50, ms", median);
            medians.push(median);
        }
        if let [hello, hook] = medians[..] {
            figures.add(case, HOOK, "p50 above hello world, ms", hook - hello);
        }
    }
    Ok(())
}

/// A folder that is removed at the end, with all in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let name = format!("telemetry-bench-{}-{name}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
