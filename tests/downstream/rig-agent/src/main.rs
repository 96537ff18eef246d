//! A program that calls models with rig. It traces its tasks, and the layer of the SDK reports them.
//!
//! Models and telemetry server are on loopback. Run by `cargo xtask verify rig-agent`.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use mosaicstack_telemetry::{AsyncTelemetryClient, Price, TelemetryConfig, TelemetryLayer};
use rig_core::{
    completion::CompletionRequest,
    driver::Model,
    error::ProviderError,
    providers::openai::{OpenAIConfig, wire::Chat},
};
use telemetry_collector::Collector;
use tracing_subscriber::{filter::LevelFilter, prelude::*};

const OK: &str = "200 OK";
const OVERLOADED: &str = "503 Service Unavailable";

/// The models' answers, in order: status, and tokens of the prompt, cached, of the completion, for reasoning.
const ANSWERS: [(&str, [u64; 4]); 5] = [
    // A plan, and a patch at the second attempt.
    (OK, [1_200, 0, 300, 64]),
    (OVERLOADED, [0; 4]),
    (OK, [1_900, 1_024, 700, 0]),
    // A review.
    (OK, [40, 0, 2, 0]),
    // A plan without a patch.
    (OK, [10, 0, 20, 0]),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collector = Collector::start()?;
    let config = TelemetryConfig::builder()
        .server_url(collector.url())
        .api_key("a".repeat(64))
        .instance_id("12345678-1234-1234-1234-123456789abc")
        .build()?;

    let client = AsyncTelemetryClient::start(config);
    let price = Price::usd_per_million(1.0, 2.0).cache_read(0.1);
    let layer = TelemetryLayer::new(client.handle())
        .with_event(move |event, _task| event.price(price))
        .with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(layer).init();

    let models = format!("http://{}/v1", serve_models()?);
    let openai = OpenAIConfig::new("key of the models").with_base_url(models).client();
    let model = openai.chat("gpt-5.2");
    fix_issue(&model).await?;
    review(&model).await.expect_err("the model refuses the patch");
    fix_issue(&model).await.expect_err("the models are overloaded");

    let stats = client.stop().await;
    println!("{stats}");
    assert_eq!((stats.tracked, stats.delivered, stats.panics), (3, 3, 0));
    let events = collector.events();
    let found: Vec<_> = events
        .iter()
        .map(|it| {
            let tokens = (it.actual_input_tokens, it.actual_output_tokens);
            (tokens, it.actual_cost_usd_micros, it.outcome.as_str(), it.retry_count)
        })
        .collect();
    let expected = [
        ((3_100, 1_000), 4_178, "success", 1), // 2,076 + 0.1 x 1,024 cached + 2 x 1,000
        ((40, 2), 44, "failure", 0),
        ((10, 20), 50, "failure", 1),
    ];
    assert_eq!(found, expected);
    for event in events {
        assert_eq!(
            (event.model.as_str(), event.provider.as_str()),
            ("gpt-5.2-2025-12-11", "openai")
        );
        assert!(event.task_duration_ms < 60_000);
    }
    Ok(())
}

/// A task: two requests, the second with another attempt.
#[tracing::instrument(skip_all)]
async fn fix_issue(model: &Model<Chat>) -> Result<String, ProviderError> {
    let plan = model.call(CompletionRequest::new("How would you fix it?")).await?.text();
    let patch = || model.call(CompletionRequest::new(format!("Write the patch: {plan}")));
    let response = match patch().await {
        Ok(response) => response,
        Err(_) => patch().await?,
    };
    Ok(response.text())
}

/// A task that fails although its request succeeds.
#[tracing::instrument(skip_all, err)]
async fn review(model: &Model<Chat>) -> Result<(), Box<dyn Error>> {
    let answer = model.call(CompletionRequest::new("Is the patch correct?")).await?.text();
    if answer == "yes" { Ok(()) } else { Err(answer.into()) }
}

/// Serves [`ANSWERS`], and then refuses every request.
fn serve_models() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    thread::spawn(move || -> io::Result<()> {
        let mut answers = ANSWERS.into_iter();
        loop {
            let (stream, _) = listener.accept()?;
            let (status, tokens) = answers.next().unwrap_or((OVERLOADED, [0; 4]));
            answer(stream, status, &completion(tokens))?;
        }
    });
    Ok(addr)
}

fn answer(mut stream: TcpStream, status: &str, body: &str) -> io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while request.read_line(&mut line)? > 2 {
        let header = line.to_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    io::copy(&mut request.take(length), &mut io::sink())?;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn completion([prompt, cached, completion, reasoning]: [u64; 4]) -> String {
    format!(
        r#"{{"id": "chatcmpl-1", "object": "chat.completion", "created": 1767225600,
            "model": "gpt-5.2-2025-12-11",
            "choices": [{{"index": 0, "finish_reason": "stop",
                "message": {{"role": "assistant", "content": "Like this."}}}}],
            "usage": {{"prompt_tokens": {prompt}, "completion_tokens": {completion},
                "total_tokens": {},
                "prompt_tokens_details": {{"cached_tokens": {cached}}},
                "completion_tokens_details": {{"reasoning_tokens": {reasoning}}}}}}}"#,
        prompt + completion
    )
}
