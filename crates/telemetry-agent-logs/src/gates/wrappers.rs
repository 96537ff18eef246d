//! Programs that run another command and exit with its status.

use telemetry_model::QualityGate;

use super::{commands, shell};

/// Nested shells that are followed.
const MAX_DEPTH: usize = 4;

/// The syntax of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Posix,
    /// `cmd.exe`.
    Cmd,
    PowerShell,
}

/// The gates that a command line runs, one after the other; empty or `None` if it is no line of gates.
pub(super) fn gates(text: &str, dialect: Dialect, exit_status: i64) -> Option<Vec<QualityGate>> {
    let mut gates = Vec::new();
    add(text, dialect, exit_status, MAX_DEPTH, &mut gates)?;
    Some(gates)
}

fn add(
    text: &str,
    dialect: Dialect,
    exit_status: i64,
    depth: usize,
    gates: &mut Vec<QualityGate>,
) -> Option<()> {
    for words in shell::commands(text, dialect)? {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let words = unwrapped(&words);
        let Some(first) = words.first() else { continue };
        match (nested(words), depth) {
            (Some(_), 0) => return None,
            (Some((script, dialect)), _) => add(script, dialect, exit_status, depth - 1, gates)?,
            (None, _) if prepares(&program(first)) => {}
            (None, _) => gates.extend(commands::gates(words, exit_status)?),
        }
    }
    Some(())
}

/// The name of a program without its folder and the extensions of Windows, in lower case.
pub(super) fn program(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word).to_ascii_lowercase();
    let mut name = name.as_str();
    for extension in [".exe", ".cmd", ".bat", ".ps1", ".phar"] {
        name = name.strip_suffix(extension).unwrap_or(name);
    }
    // `npx eslint@9`.
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let version = name.strip_prefix("python").unwrap_or("x");
    let is_python = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_python || name == "py" { "python".into() } else { name.into() }
}

/// True for commands that prepare others and hardly fail.
fn prepares(program: &str) -> bool {
    matches!(
        program,
        "cd" | "pushd" | "popd" | "export" | "unset" | "set" | "source" | "." | "echo" | "pwd"
    ) || matches!(program, "printf" | "true" | ":" | "chdir" | "set-location" | "clear" | "cls")
}

/// The script of a nested shell.
fn nested<'a>(words: &[&'a str]) -> Option<(&'a str, Dialect)> {
    let (first, rest) = words.split_first()?;
    let mut rest = rest.iter();
    let (dialect, is_script): (_, fn(&str) -> bool) = match &*program(first) {
        "bash" | "sh" | "zsh" | "dash" | "ksh" | "fish" => (Dialect::Posix, |option| {
            option.starts_with('-') && !option.starts_with("--") && option.ends_with('c')
        }),
        "cmd" => (Dialect::Cmd, |option| option.eq_ignore_ascii_case("/c")),
        "powershell" | "pwsh" => (Dialect::PowerShell, |option| {
            let option = option.to_ascii_lowercase();
            option.len() > 1 && "-command".starts_with(&option)
        }),
        _ => return None,
    };
    loop {
        match rest.next()? {
            word if is_script(word) => break,
            // `-o pipefail`, `-ExecutionPolicy Bypass`.
            word if word.ends_with('o') || dialect == Dialect::PowerShell => {}
            word if word.starts_with(['-', '+', '/']) || *word == "pipefail" => {}
            // A file with a script.
            _ => return None,
        }
    }
    let script = rest.next()?;
    // Without quotes the words of the script are words of this line: `unwrapped` has taken care of these.
    (dialect == Dialect::Posix || rest.next().is_none()).then_some((*script, dialect))
}

/// The command without what runs it: assignments, `timeout`, `uv run` and others.
fn unwrapped<'a, 'b>(mut words: &'b [&'a str]) -> &'b [&'a str] {
    loop {
        match runner_len(words) {
            0 => return words,
            len => words = words.get(len..).unwrap_or_default(),
        }
    }
}

/// Number of words at the start that only run the others; 0 if there are none.
fn runner_len(words: &[&str]) -> usize {
    let Some(first) = words.first() else { return 0 };
    if is_assignment(first) {
        return 1;
    }
    let name = program(first);
    let second = words.get(1).copied().unwrap_or_default();
    let options = |start, valued: &[&str]| options_end(words, start, valued);
    match (&*name, second) {
        ("env" | "cross-env", _) => {
            let end = options(1, &["-u", "--unset", "-C", "--chdir"]);
            // `env -S` splits text, which is not followed.
            if words.iter().take(end).any(|word| word.starts_with("-S")) { 0 } else { end }
        }
        ("timeout" | "gtimeout", _) => options(1, &["-s", "--signal", "-k", "--kill-after"]) + 1,
        ("time" | "nohup" | "command" | "exec" | "xvfb-run" | "stdbuf" | "unbuffer", _) => {
            // `command -v cargo` runs nothing.
            if name == "command" && second.starts_with('-') { 0 } else { options(1, &["-o", "-e"]) }
        }
        ("nice" | "ionice", _) => options(1, &["-n", "-c"]),
        ("sudo", _) => options(1, &["-u", "-g"]),
        ("uv", "run") | ("uv", "tool") | ("uvx", _) => {
            let start = match (&*name, words.get(2)) {
                ("uvx", _) => 1,
                (_, Some(&"run")) => 3,
                _ if second == "tool" => return 0,
                _ => 2,
            };
            let end = options(start, UV_VALUED);
            // `uv run -m pytest` is `python -m pytest`, which is read from the option on.
            if words.get(start) == Some(&"-m") { start } else { end }
        }
        ("poetry" | "pipenv" | "pdm" | "rye" | "pixi" | "hatch", "run") => options(2, &["-C"]),
        ("conda" | "mamba" | "micromamba", "run") => options(2, &["-n", "--name", "-p"]),
        ("bundle" | "composer", "exec") => options(2, &[]),
        ("npx" | "bunx" | "pnpx", _) => options(1, &["-p", "--package"]),
        ("npm" | "pnpm" | "yarn", "exec" | "dlx" | "x") | ("bun", "x") => {
            options(2, &["-p", "--package"])
        }
        ("dotenv", _) => options(1, &["-f", "-e"]),
        ("cmd", _) | ("powershell" | "pwsh", _) => unquoted_script(words, &name),
        _ => 0,
    }
}

const UV_VALUED: &[&str] = &[
    "--with",
    "--extra",
    "--group",
    "--only-group",
    "--project",
    "--directory",
    "--python",
    "-p",
    "--package",
    "--env-file",
    "--from",
    "--index",
    "--index-url",
    "--with-requirements",
    "-w",
];

/// Number of words up to the script of `cmd /c npm test`; 0 if the script is one quoted word.
fn unquoted_script(words: &[&str], name: &str) -> usize {
    let is_option = |word: &&str| match name {
        "cmd" => word.eq_ignore_ascii_case("/c"),
        _ => {
            let word = word.to_ascii_lowercase();
            word.len() > 1 && "-command".starts_with(&word)
        }
    };
    match words.iter().position(is_option) {
        Some(at) if words.len() > at + 2 => at + 1,
        _ => 0,
    }
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let is_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    name.bytes().all(is_name) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// The index of the first word from `start` on that is no option, nor the value of one of `valued`.
pub(super) fn options_end(words: &[&str], start: usize, valued: &[&str]) -> usize {
    let mut at = start;
    while let Some(word) = words.get(at) {
        if *word == "--" {
            return at + 1;
        }
        if !word.starts_with('-') {
            return at;
        }
        at += if valued.contains(word) { 2 } else { 1 };
    }
    at.min(words.len())
}
