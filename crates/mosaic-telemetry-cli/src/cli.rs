//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::when::When;

/// Reports what coding agents did, from the logs that they leave, to a Mosaic Stack Telemetry server.
///
/// Exit status: 0 if all went well, 1 if something failed or is not valid, 2 for wrong arguments, 3 if a task is
/// predicted to cost more than --max-cost.
#[derive(Debug, Parser)]
#[command(name = "mosaic-telemetry", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the tasks that the logs of coding agents have. Sends nothing.
    Scan(ScanArgs),
    /// Sends the tasks that have not been sent.
    Report(ReportArgs),
    /// Reports in the background; called by a coding agent when it has finished a task.
    Hook(HookArgs),
    /// Asks the server what a task will cost, beside your own tasks with the same model.
    Predict(PredictArgs),
    /// Sends what earlier calls have written and could not send.
    Flush(FlushArgs),
    /// Shows what is configured and by what, what waits to be sent and what was sent, and if the server answers.
    Status(StatusArgs),
    /// Shows and changes the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Runs `telemetry-collector`, a server for development on this machine, with these arguments.
    #[command(disable_help_flag = true)]
    Collector {
        /// See `mosaic-telemetry collector --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Checks events as JSON, one after the other, and prints each fault with its line.
    Validate(ValidateArgs),
    /// Writes the manual pages of the program and of its commands to a folder.
    #[command(hide = true)]
    Man {
        /// A folder that exists, as /usr/local/share/man/man1.
        folder: PathBuf,
    },
    /// Prints the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Settings, which take precedence over variables and these over `config.toml`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Flags {
    /// URL of the server.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server_url: Option<String>,
    /// File with the API key.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// UUID of this installation.
    #[arg(long, global = true, value_name = "UUID")]
    pub(crate) instance_id: Option<String>,
    /// Folder for events that wait to be sent.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) spool_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Do not ask the server. It is asked for at most 3 seconds.
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mosaic-telemetry config set server_url https://tel-api.mosaicstack.dev
  mosaic-telemetry config set api_key < key.txt
  mosaic-telemetry config set max_retries 5")]
pub(crate) enum ConfigCommand {
    /// Shows each setting with its source.
    Show,
    /// Writes a setting to `config.toml`, which only you can read then.
    Set {
        /// The setting: server_url, api_key, instance_id, enabled, spool_dir or another of the SDK.
        key: String,
        /// Its value; read from standard input if it is left out, as it must be for the API key.
        value: Option<String>,
    },
    /// Removes a setting from `config.toml`.
    Unset {
        /// The setting.
        key: String,
    },
}

/// Selects tasks.
#[derive(Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only tasks that ended after this: `30d`, `12h`, a date or a time as 2026-11-26T17:58:03Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<When>,
    /// Only tasks that ended before this.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<When>,
    /// Only tasks of this agent, as `claude_code`, `codex` or `aider`. Can be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) harness: Vec<String>,
    /// The home folder with the folders of the agents, in place of yours. Variables as `CLAUDE_CONFIG_DIR` are then
    /// ignored.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) root: Option<PathBuf>,
    /// The outcome of tasks whose log does not show any, which are left out otherwise.
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) assume_outcome: Option<Assumed>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Assumed {
    Success,
    Partial,
    Failure,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mosaic-telemetry scan --since 7d
  mosaic-telemetry scan --json | jq '.[] | select(.outcome == \"failure\")'")]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print JSON.
    #[arg(long, group = "format")]
    pub(crate) json: bool,
    /// Print CSV with a heading.
    #[arg(long, group = "format")]
    pub(crate) csv: bool,
    /// Print the events that `report` would send, one a line.
    #[arg(long, group = "format")]
    pub(crate) events: bool,
}

#[derive(Debug, Default, Args)]
#[command(
    after_help = "Without --since, the first call sends nothing: what ends from then on is sent.

Examples:
  mosaic-telemetry report --since 30d --dry-run
  MOSAIC_TELEMETRY_API_KEY=… mosaic-telemetry report"
)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Send tasks with a model that has no price too, with a cost of 0 and `other` as the model.
    #[arg(long)]
    pub(crate) unpriced: bool,
    #[command(flatten)]
    pub(crate) flush: FlushArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mosaic-telemetry predict --model claude-sonnet-4-5 --model gpt-5-codex
  mosaic-telemetry predict --model gpt-5-codex --task-type debugging --max-cost 2.50 && codex")]
pub(crate) struct PredictArgs {
    /// The model, as its provider spells it. Several are compared.
    #[arg(long, required = true, value_name = "NAME")]
    pub(crate) model: Vec<String>,
    /// The kind of work: planning, implementation, code_review, testing, debugging or another.
    #[arg(long, value_name = "KIND", default_value = "unknown")]
    pub(crate) task_type: String,
    /// The difficulty: low, medium, high or another.
    #[arg(long, value_name = "LEVEL", default_value = "medium")]
    pub(crate) complexity: String,
    /// The provider of the models, if their names do not say.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Exit with 3 if the median of the cost of any of the models is above this, in US dollars.
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<f64>,
    /// Print the answers of the server as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  mosaic-telemetry hook install claude-code --print
  mosaic-telemetry hook install codex
  mosaic-telemetry hook remove codex"
)]
pub(crate) struct HookArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HookCommand>,
    /// The agent that calls.
    #[arg(required = true)]
    pub(crate) agent: Option<Agent>,
    /// Arguments of the agent, which are not read: the log has all.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) ignored: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HookCommand {
    /// Makes an agent call this program, by a change of its settings. Keeps all else in them, and a copy beside.
    Install(InstallArgs),
    /// Undoes that.
    Remove(InstallArgs),
    /// Waits a moment and reports.
    #[command(hide = true)]
    Background {
        /// Session whose agent has stopped.
        #[arg(long, allow_hyphen_values = true)]
        stopped: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The agent.
    pub(crate) agent: Agent,
    /// Only print the settings as they would be.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Agent {
    ClaudeCode,
    Codex,
    GeminiCli,
    Aider,
}

#[derive(Debug, Default, Args)]
pub(crate) struct FlushArgs {
    /// Seconds to wait for the server. What is not sent until then is sent by the next call.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files with events, or with batches of them; standard input if there are none.
    pub(crate) files: Vec<PathBuf>,
}
