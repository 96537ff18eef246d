//! Runtimes, connections and limits of `HyperTransport`.

use std::{io::BufReader, net::TcpStream, sync::mpsc, thread, time::Duration};

use tokio::{runtime::Builder, task::spawn_blocking, time};

use super::{
    post,
    runtime::{block_on, join, runtime},
    server::{accept_all, connect, read_request, respond, server},
    settings,
};
use crate::{AsyncTransport, HyperTransport, Transport, TransportError};

pub(super) fn blocking(variables: &[(&str, &str)], roots: Option<&[u8]>) -> Box<dyn Transport> {
    block_on(HyperTransport::with(settings(variables, roots)))
}

/// Like [`accept_all`], but returns the number of requests.
fn count_all(mut stream: BufReader<TcpStream>) -> usize {
    accept_all(&mut stream).len()
}

#[tokio::test]
async fn host_that_no_certificate_can_name_is_a_permanent_error() {
    let url = "https://-/v1";
    let error = HyperTransport::new().send(post(url)).await.unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
}

#[test]
fn each_runtime_has_its_own_connections() {
    let (url, server) = server(2, count_all);
    let transport = HyperTransport::new();
    for _ in 0..2 {
        let runtime = runtime(&mut Builder::new_current_thread());
        for _ in 0..2 {
            assert!(runtime.block_on(transport.send(post(&url))).is_ok());
        }
    }
    assert_eq!(server.join().unwrap(), [2, 2]);
}

#[test]
fn connections_of_the_runtimes_used_last_are_kept() {
    let (url, server) = server(6, |mut stream| {
        read_request(&mut stream);
        respond(&mut stream, "200 OK", "");
        thread::spawn(move || accept_all(&mut stream).len())
    });
    let transport = HyperTransport::new();
    let runtimes: Vec<_> = (0..5).map(|_| runtime(&mut Builder::new_multi_thread())).collect();
    // The first one is used again, so that the second one gives way to the fifth.
    for index in [0, 1, 2, 3, 0, 4, 0, 1] {
        assert!(runtimes[index].block_on(transport.send(post(&url))).is_ok());
    }
    drop((transport, runtimes));
    let more = server.join().unwrap().into_iter().map(|requests| requests.join().unwrap());
    assert_eq!(more.collect::<Vec<_>>(), [2, 0, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_share_connections() {
    let (url, server) = server(1, count_all);
    let transport = HyperTransport::new();
    for clone in [transport.clone(), transport.clone(), transport] {
        let request = post(&url);
        tokio::spawn(async move { clone.send(request).await.unwrap() }).await.unwrap();
    }
    assert_eq!(join(server).await, [3]);
}

#[tokio::test]
async fn connection_is_kept_for_15_seconds() {
    let (url, server) = server(2, count_all);
    let transport = HyperTransport::new();
    for pause in [0, 5, 16] {
        time::pause();
        time::advance(Duration::from_secs(pause)).await;
        time::resume();
        assert!(transport.send(post(&url)).await.is_ok());
    }
    drop(transport);
    connect(&url);
    assert_eq!(join(server).await, [2, 1]);
}

#[tokio::test]
async fn response_head_is_limited_in_bytes_and_headers() {
    for (headers, length, is_accepted) in
        [(99, 9, true), (100, 9, false), (3, 20 << 10, true), (9, 20 << 10, false)]
    {
        let (url, server) = server(1, move |mut stream| {
            read_request(&mut stream);
            let header = format!("\r\nx-one: {}", "1".repeat(length));
            // `respond` adds the content length.
            respond(&mut stream, &format!("200 OK{}", header.repeat(headers)), "");
        });
        let result = HyperTransport::new().send(post(&url)).await;
        assert_eq!(result.is_ok(), is_accepted, "{headers} headers of {length} bytes");
        join(server).await;
    }
}

#[test]
fn host_is_resolved_while_the_blocking_threads_are_busy() {
    let (url, server) = server(1, count_all);
    let url = url.replace("127.0.0.1", "localhost");
    let runtime = runtime(Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1));
    let (release, released) = mpsc::channel::<()>();
    runtime.block_on(async {
        let blocking = spawn_blocking(move || released.recv());
        let transport = HyperTransport::new();
        assert_eq!(transport.send(post(&url)).await.unwrap().status(), 200);
        drop((transport, release));
        blocking.await.unwrap().unwrap_err();
    });
    drop(runtime);
    assert_eq!(server.join().unwrap(), [1]);
}
