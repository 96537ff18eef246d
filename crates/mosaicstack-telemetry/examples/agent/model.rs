//! A model server on loopback that streams prepared answers, with usage as Anthropic counts it.

use std::{io, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Starts the server. `scenario` is how the third answer ends: with an error (`fail`), never (`hang`), or
/// well.
pub(crate) async fn start(scenario: String) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        for request in 1.. {
            let (connection, _) = listener.accept().await?;
            answer(connection, request, &scenario).await?;
        }
        io::Result::Ok(())
    });
    Ok(addr)
}

async fn answer(connection: TcpStream, request: u32, scenario: &str) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut prompt = String::new();
    connection.read_line(&mut prompt).await?;
    let parts: &[Value] = match (request, scenario) {
        (1, _) => &message(5, 0, 128_955, "read_file", 200),
        (2, _) => &[json!({"type": "overloaded"})],
        (_, "fail") => &[json!({"type": "error"})],
        (_, "hang") => &message(5, 128_955, 0, "", 0)[..1],
        (3, _) => &message(5, 128_955, 1_253, "edit_file", 500),
        _ => &message(5, 130_208, 0, "done", 40),
    };
    for part in parts {
        connection.write_all(format!("{part}\n").as_bytes()).await?;
    }
    if scenario == "hang" && request > 2 {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// The parts of a streamed answer.
fn message(input: u64, cache_read: u64, cache_write: u64, text: &str, output: u64) -> Vec<Value> {
    let usage = json!({
        "input_tokens": input,
        "cache_read_input_tokens": cache_read,
        "cache_creation_input_tokens": cache_write,
        "output_tokens": 1,
    });
    let half = text.len() / 2;
    vec![
        json!({"type": "message_start", "message": {"usage": usage}}),
        json!({"type": "text", "text": &text[..half]}),
        json!({"type": "text", "text": &text[half..]}),
        json!({"type": "message_stop", "usage": {"output_tokens": output}}),
    ]
}
