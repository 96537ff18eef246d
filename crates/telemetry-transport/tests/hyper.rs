//! `HyperTransport` against real sockets on loopback.
#![cfg(feature = "hyper")]

use std::{
    io::{BufReader, Read, Write},
    sync::{Arc, Barrier, Mutex, mpsc},
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
    time::Duration,
};

use telemetry_transport::{AsyncTransport, HyperTransport, Transport, TransportError};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::{spawn_blocking, yield_now},
    time,
};

use self::common::{AMPLE, BRIEF, answer, post, read_request, server, visit};

mod common;
#[path = "common/scenarios.rs"]
mod scenarios;

mod current_thread {
    crate::scenarios::scenarios! { crate::waiting(&mut tokio::runtime::Builder::new_current_thread()) }
}

mod multi_thread {
    crate::scenarios::scenarios! { crate::waiting(&mut tokio::runtime::Builder::new_multi_thread()) }
}

/// Answers what comes, and returns how much it was.
fn obliging(mut stream: std::net::TcpStream) -> usize {
    let mut reading = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut requests = 0;
    while read_request(&mut reading).is_some() {
        requests += 1;
        answer(&mut stream, "200 OK", "");
    }
    requests
}

fn runtime(builder: &mut Builder) -> Runtime {
    builder.enable_all().build().expect("a runtime")
}

/// Waits for a server without holding up the runtime, on which the client's connections are.
async fn ended<T: Send + 'static>(serving: JoinHandle<Vec<T>>) -> Vec<T> {
    spawn_blocking(|| serving.join().expect("the server ends")).await.expect("it is joined")
}

/// A transport that waits, with a runtime of its own that runs as long.
fn waiting(builder: &mut Builder) -> impl Transport + use<> {
    waiting_for(HyperTransport::new(), builder)
}

fn waiting_for(transport: HyperTransport, builder: &mut Builder) -> impl Transport + use<> {
    let runtime = runtime(builder);
    let handle = runtime.handle().clone();
    let (alive, dropped) = oneshot::channel::<()>();
    thread::spawn(move || runtime.block_on(dropped));
    move |request| {
        assert!(!alive.is_closed(), "the runtime runs");
        let (answered, answer) = mpsc::channel();
        let transport = transport.clone();
        handle.spawn(async move { answered.send(transport.send(request).await) });
        answer.recv().expect("a result")
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let transport = HyperTransport::default();
    let mut sending = transport.send(post("http://127.0.0.1:9/v1", AMPLE));
    let polled = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(TransportError::Other(_)))), "{polled:?}");
}

#[test]
fn a_transport_outlives_the_runtime_of_its_connections() {
    let (url, serving) = server(2, obliging);
    let transport = HyperTransport::new();
    for _ in 0..2 {
        let runtime = runtime(&mut Builder::new_current_thread());
        for _ in 0..2 {
            assert!(runtime.block_on(transport.send(post(&url, AMPLE))).is_ok());
        }
    }
    assert_eq!(serving.join().unwrap(), [2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_send_side_by_side_and_share_the_connections() {
    let (url, serving) = server(1, obliging);
    let transport = HyperTransport::new();
    for clone in [transport.clone(), transport.clone(), transport] {
        let request = post(&url, AMPLE);
        tokio::spawn(async move { clone.send(request).await.unwrap() }).await.unwrap();
    }
    assert_eq!(ended(serving).await, [3]);

    // Both requests must be there before either is answered.
    let (both, there) = (Barrier::new(2), HyperTransport::new());
    let both = Arc::new(both);
    let (first, _) = server(1, meeting(both.clone()));
    let (second, _) = server(1, meeting(both));
    let (first, second) =
        tokio::join!(there.send(post(&first, AMPLE)), there.send(post(&second, AMPLE)));
    assert!(first.is_ok() && second.is_ok());
}

fn meeting(both: Arc<Barrier>) -> impl Fn(std::net::TcpStream) + Send {
    move |mut stream| {
        read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
        both.wait();
        answer(&mut stream, "200 OK", "");
    }
}

#[tokio::test]
async fn a_dropped_future_closes_its_connection() {
    let (arrived, arrival) = oneshot::channel();
    let arrived = Mutex::new(Some(arrived));
    let (url, serving) = server(1, move |mut stream| {
        read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
        let _ = arrived.lock().expect("one thread").take().expect("one request").send(());
        stream.read_to_end(&mut Vec::new()).is_ok()
    });
    let transport = HyperTransport::new();
    let sending = tokio::spawn({
        let (transport, request) = (transport.clone(), post(&url, AMPLE));
        async move { transport.send(request).await }
    });
    arrival.await.unwrap();
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    // The transport, which would keep the connection, is still there.
    assert_eq!(ended(serving).await, [true]);
    drop(transport);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used_again() {
    let (url, serving) = server(3, |mut stream| {
        let asked = read_request(&mut BufReader::new(stream.try_clone().expect("a handle")));
        answer(&mut stream, "200 OK", "");
        asked.is_some()
    });
    let transport = HyperTransport::new();
    assert!(transport.send(post(&url, AMPLE)).await.is_ok());
    // What comes over this one comes after the end of the other, which is seen then.
    let host = url.trim_start_matches("http://").trim_end_matches("/v1");
    let mut other = TcpStream::connect(host).await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut other).await.unwrap();
    other.read_to_end(&mut Vec::new()).await.unwrap();
    yield_now().await;
    assert!(transport.send(post(&url, AMPLE)).await.is_ok());
    assert_eq!(ended(serving).await, [true, false, true]);
}

#[tokio::test]
async fn a_request_that_was_written_is_not_sent_again() {
    let (url, serving) = server(2, |mut stream| {
        let mut reading = BufReader::new(stream.try_clone().expect("a second handle"));
        let first = read_request(&mut reading).is_some();
        answer(&mut stream, "200 OK", "");
        let second = first && read_request(&mut reading).is_some();
        (first, second)
    });
    let transport = HyperTransport::new();
    assert!(transport.send(post(&url, AMPLE)).await.is_ok());
    let error = transport.send(post(&url, AMPLE)).await.unwrap_err();
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
    visit(&url);
    assert_eq!(ended(serving).await, [(true, true), (false, false)]);
}

/// Of which the rest is not read, so the connection is of no further use.
#[tokio::test]
async fn after_an_answer_that_was_cut_off_there_is_another_connection() {
    let (url, serving) = server(2, |mut stream| {
        let mut reading = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut requests = 0;
        while read_request(&mut reading).is_some() {
            requests += 1;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
        requests
    });
    let transport = HyperTransport::new();
    for _ in 0..2 {
        assert!(transport.send(post(&url, AMPLE)).await.is_ok());
    }
    assert_eq!(ended(serving).await, [1, 1]);
}

#[tokio::test]
async fn a_connection_that_was_idle_for_15_seconds_is_not_used_again() {
    let (url, serving) = server(2, obliging);
    let transport = HyperTransport::new();
    for pause in [0, 5, 16] {
        time::pause();
        time::advance(Duration::from_secs(pause)).await;
        time::resume();
        assert!(transport.send(post(&url, AMPLE)).await.is_ok());
    }
    drop(transport);
    visit(&url);
    assert_eq!(ended(serving).await, [2, 1]);
}

#[tokio::test]
async fn a_head_is_bounded_in_bytes_and_headers() {
    for (headers, length, fits) in
        [(99, 9, true), (100, 9, false), (3, 20 << 10, true), (9, 20 << 10, false)]
    {
        let (url, serving) = server(1, move |mut stream| {
            read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
            let header = format!("\r\nx-one: {}", "1".repeat(length));
            // And the length.
            answer(&mut stream, &format!("200 OK{}", header.repeat(headers)), "");
        });
        let result = HyperTransport::new().send(post(&url, AMPLE)).await;
        assert_eq!(result.is_ok(), fits, "{headers} of {length}");
        ended(serving).await;
    }
}

/// Where the queue for accepting is full, Linux answers no more.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_nobody_answers_is_a_time_out() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let sending = HyperTransport::new();
    let error = sending.send(post(&format!("http://{address}/v1"), BRIEF)).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    let accepted = listener.accept().await;
    assert!(accepted.is_ok());
}

/// The end of a runtime waits for its threads for blocking work.
#[test]
fn names_are_looked_up_beside_the_runtimes_own_threads() {
    let (url, serving) = server(1, obliging);
    let url = url.replace("127.0.0.1", "localhost");
    let runtime = runtime(Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1));
    let (release, released) = mpsc::channel::<()>();
    runtime.block_on(async {
        // A look-up there would wait for its turn.
        let blocking = spawn_blocking(move || released.recv());
        let transport = HyperTransport::new();
        assert_eq!(transport.send(post(&url, AMPLE)).await.unwrap().status(), 200);
        drop((transport, release));
        blocking.await.unwrap().unwrap_err();
    });
    drop(runtime);
    assert_eq!(serving.join().unwrap(), [1]);
}

#[tokio::test]
async fn a_name_that_is_not_found_is_a_network_error() {
    // Longer than a name can be, so nobody is asked for it.
    let url = format!("http://{}/", "a".repeat(64));
    let error = HyperTransport::new().send(post(&url, AMPLE)).await.unwrap_err();
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
}

#[cfg(feature = "rustls")]
#[test]
fn a_certificate_that_is_named_is_trusted_and_no_other() {
    scenarios::a_certificate_that_is_named_is_trusted_and_no_other(|certificate| {
        let transport = HyperTransport::with_root_certificates(certificate);
        waiting_for(transport.expect("a certificate"), &mut Builder::new_current_thread())
    });
}
