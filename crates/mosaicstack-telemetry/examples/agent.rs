//! A coding agent on tokio: several requests a task, streamed usage, retries, Ctrl-C, and `exit`.
//!
//! ```text
//! cargo run -p telemetry-collector -- --show   # in another terminal; run the printed exports here
//! cargo run --example agent                    # a task that succeeds
//! cargo run --example agent -- fail            # one that fails
//! cargo run --example agent -- hang            # one that waits for Ctrl-C
//! ```
//!
//! The model is a server on loopback that the example starts itself. Without the exports, the agent runs
//! without telemetry.
#![expect(clippy::print_stdout, reason = "command-line output")]

use std::{env, error::Error, process, time::Duration};

use mosaicstack_telemetry::{Price, TelemetryConfig, global, prelude::*};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    signal, time,
};

#[path = "agent/model.rs"]
mod model;

const MODEL: &str = "claude-sonnet-4-5-20250929";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Its thread delivers also after the runtime has ended.
    let _telemetry = global::init(TelemetryConfig::from_env_if_set()?)?;
    let server = model::start(env::args().nth(1).unwrap_or_default()).await?;

    let code = tokio::select! {
        result = solve(server, "the tests fail") => match result {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
        _ = signal::ctrl_c() => 130, // drops the task, which reports it as partial
    };

    println!("{}", global::shutdown(Duration::from_secs(1)));
    process::exit(code);
}

/// Asks the model and does what it says, until it is done.
async fn solve(server: std::net::SocketAddr, goal: &str) -> Result<(), Box<dyn Error>> {
    let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75);
    let event = global::handle().event().task_type(TaskType::Debugging).model(MODEL).price(price);
    let event = event.provider(Provider::Anthropic).language("rust");
    let mut task = global::handle().begin(event).unfinished_as(Outcome::Partial);

    let mut prompt = goal.to_owned();
    let result = loop {
        match request(server, &prompt, &mut task).await {
            Ok(answer) if answer == "done" => break Ok(()),
            Ok(tool) => {
                println!("running {tool}");
                prompt = format!("result of {tool}");
            }
            Err(error) => break Err(error),
        }
    };

    task.finish(&result); // success or failure
    result
}

/// Streams one answer. Tries again while the model is overloaded.
async fn request(
    server: std::net::SocketAddr,
    prompt: &str,
    task: &mut TaskGuard,
) -> Result<String, Box<dyn Error>> {
    for retry in 0..4 {
        time::sleep(Duration::from_millis(20) * retry).await;
        let mut connection = BufReader::new(TcpStream::connect(server).await?);
        connection.write_all(format!("{prompt}\n").as_bytes()).await?;
        let (mut lines, mut answer, mut usage) = (connection.lines(), String::new(), None);
        while let Some(line) = lines.next_line().await? {
            let part: serde_json::Value = serde_json::from_str(&line)?;
            usage = usage.into_iter().chain(Usage::from_response(&part)).reduce(Usage::max);
            match part["type"].as_str().unwrap_or_default() {
                "message_start" => {}
                "text" => answer.push_str(part["text"].as_str().unwrap_or_default()),
                "message_stop" => {
                    task.add(&usage.ok_or("the model reports no usage")?);
                    return Ok(answer);
                }
                "overloaded" => break,
                other => return Err(format!("the model answered {other:?}").into()),
            }
        }
    }
    Err("the model is overloaded".into())
}
