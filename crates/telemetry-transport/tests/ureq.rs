//! `UreqTransport` against real sockets on loopback.
#![cfg(feature = "ureq")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use telemetry_transport::{
    MAX_RESPONSE_BYTES, Request, Timeout, Transport, TransportError, UreqTransport,
};

/// Long enough to never matter unless something hangs.
const AMPLE: Duration = Duration::from_secs(30);

/// Runs `serve` for each of `connections` connections, one after the other.
fn server<T: Send + 'static>(
    connections: usize,
    serve: impl Fn(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
    let serving = thread::spawn(move || {
        (0..connections).map(|_| serve(listener.accept().expect("a client connects").0)).collect()
    });
    (url, serving)
}

/// Reads one request: its head in lower case, and its body.
fn read_request(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A client that has gone is the client's affair.
fn answer(stream: &mut impl Write, head: &str, body: &str) {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all((head + body).as_bytes());
}

fn post(url: &str, timeout: Duration) -> Request {
    let mut request = http::Request::post(url)
        .header("authorization", "Bearer key")
        .body(b"{\"events\":[]}".to_vec())
        .expect("a request");
    request.extensions_mut().insert(Timeout(timeout));
    request
}

#[test]
fn a_connection_is_used_again_and_the_request_arrives_whole() {
    let (url, serving) = server(1, |stream| {
        let mut writing = stream.try_clone().expect("a second handle");
        let mut reading = BufReader::new(stream);
        let mut requests = Vec::new();
        while let Some(request) = read_request(&mut reading) {
            requests.push(request);
            answer(&mut writing, "200 OK\r\nx-one: 1", "done");
        }
        requests
    });
    let transport = UreqTransport::new();
    for _ in 0..3 {
        let answer = transport.send(post(&url, AMPLE)).unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (200, &b"done"[..]));
        assert_eq!(answer.headers()["x-one"], "1");
    }
    drop(transport);
    let requests = serving.join().unwrap().remove(0);
    assert_eq!(requests.len(), 3);
    for (head, body) in requests {
        assert!(head.starts_with("post /v1 http/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: bearer key\r\n"), "{head}");
        assert_eq!(body, b"{\"events\":[]}");
    }
}

#[test]
fn every_status_is_an_answer_and_redirects_are_not_followed() {
    for status in [
        "204 No Content",
        "307 Temporary Redirect\r\nlocation: /elsewhere",
        "400 Bad Request",
        "503 Service Unavailable",
    ] {
        let (url, serving) = server(1, move |mut stream| {
            let mut reading = BufReader::new(stream.try_clone().expect("a second handle"));
            read_request(&mut reading).expect("a request");
            answer(&mut stream, status, "");
            read_request(&mut reading).is_none()
        });
        let transport = UreqTransport::new();
        let answer = transport.send(post(&url, AMPLE)).unwrap();
        assert_eq!(answer.status().as_str(), &status[..3]);
        drop(transport);
        assert_eq!(serving.join().unwrap(), [true], "{status}: no second request");
    }
}

#[test]
fn an_endless_answer_is_cut_off() {
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("the client reads");
        let mut written = 0_usize;
        while stream.write_all(&[b'x'; 4096]).is_ok() {
            written += 4096;
        }
        written
    });
    let answer = UreqTransport::new().send(post(&url, AMPLE)).unwrap();
    assert_eq!(answer.body().len(), MAX_RESPONSE_BYTES);
    assert!(serving.join().unwrap()[0] >= MAX_RESPONSE_BYTES);
}

#[test]
fn silence_is_a_time_out() {
    let (url, serving) = server(1, |stream| {
        let mut everything = Vec::new();
        let _ = BufReader::new(stream).read_to_end(&mut everything);
    });
    let error = UreqTransport::new().send(post(&url, Duration::from_millis(50))).unwrap_err();
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    serving.join().unwrap();
}

#[test]
fn a_trickle_is_a_time_out_too() {
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1").expect("sent");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = UreqTransport::new().send(post(&url, Duration::from_millis(50))).unwrap_err();
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
    serving.join().unwrap();
}

#[test]
fn a_broken_or_refused_connection_is_a_network_error() {
    let (url, serving) = server(1, |stream| {
        read_request(&mut BufReader::new(stream));
    });
    let error = UreqTransport::new().send(post(&url, AMPLE)).unwrap_err();
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
    serving.join().unwrap();
    // The listener is gone by now.
    let error = UreqTransport::new().send(post(&url, AMPLE)).unwrap_err();
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
}

#[test]
fn an_answer_that_breaks_off_is_a_network_error() {
    for part in [
        "HTTP/1.1 200 OK\r\nconte",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234",
        "??\r\n\r\n",
    ] {
        let (url, serving) = server(1, move |mut stream| {
            read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
            stream.write_all(part.as_bytes()).expect("the client reads");
        });
        let error = UreqTransport::new().send(post(&url, AMPLE)).unwrap_err();
        assert!(matches!(error, TransportError::Network(_)), "{part}: {error:?}");
        serving.join().unwrap();
    }
}

#[test]
fn what_cannot_work_is_neither() {
    let (url, serving) = server(1, |mut stream| {
        let _ = stream.write_all(b"this is not TLS at all\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let https = url.replace("http:", "https:");
    let error = UreqTransport::new().send(post(&https, AMPLE)).unwrap_err();
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("Bearer"));
    if cfg!(not(feature = "rustls")) {
        // Then it never connected.
        let _ = TcpStream::connect(url.trim_start_matches("http://").trim_end_matches("/v1"));
    }
    serving.join().unwrap();
}

#[test]
fn a_time_out_can_be_as_long_as_one_likes() {
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
        answer(&mut stream, "200 OK", "");
    });
    assert!(UreqTransport::new().send(post(&url, Duration::MAX)).is_ok());
    serving.join().unwrap();
}

/// Runs itself again in a child process, since a proxy is read from the environment.
#[test]
fn loopback_is_not_reached_through_a_proxy() {
    const URL: &str = "TELEMETRY_TRANSPORT_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        assert_eq!(UreqTransport::new().send(post(&url, AMPLE)).unwrap().status(), 200);
        return;
    }
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut BufReader::new(stream.try_clone().expect("a second handle")));
        answer(&mut stream, "200 OK", "");
    });
    let (proxy, proxying) = server(1, |mut stream| {
        let asked = read_request(&mut BufReader::new(stream.try_clone().expect("a handle")));
        answer(&mut stream, "502 Bad Gateway", "");
        asked
    });
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loopback_is_not_reached_through_a_proxy"])
        .env(URL, &url)
        .envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, proxy.clone())))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    serving.join().unwrap();
    // Nobody has asked the proxy, so it still waits.
    drop(TcpStream::connect(proxy.trim_start_matches("http://").trim_end_matches("/v1")));
    assert_eq!(proxying.join().unwrap(), [None]);
}
