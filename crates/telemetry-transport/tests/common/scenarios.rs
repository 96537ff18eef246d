//! What every transport over sockets owes, each shown by a server of its own.

use std::{
    io::{BufReader, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use telemetry_transport::{MAX_RESPONSE_BYTES, Transport, TransportError};

use crate::common::{AMPLE, BRIEF, answer, post, read_request, server, visit};

/// A test of each scenario with what the expression makes.
macro_rules! scenarios {
    ($transport:expr) => {
        $crate::scenarios::scenarios! { $transport =>
            a_connection_is_used_again_and_the_request_arrives_whole
            every_status_is_an_answer_and_redirects_are_not_followed
            an_endless_answer_is_cut_off
            an_endless_head_is_a_network_error
            silence_is_a_time_out
            a_trickle_is_a_time_out_too
            a_broken_or_refused_connection_is_a_network_error
            an_answer_that_breaks_off_is_a_network_error
            what_cannot_work_is_neither
            an_address_that_cannot_be_used_is_neither
            a_time_out_can_be_as_long_as_one_likes
            loopback_is_not_reached_through_a_proxy
        }
        #[cfg(feature = "rustls")]
        $crate::scenarios::scenarios! { $transport =>
            a_certificate_of_nobody_is_refused_and_the_key_stays_here
            silence_before_tls_is_a_time_out
        }
    };
    ($transport:expr => $($name:ident)*) => {
        $(#[test]
        fn $name() {
            $crate::scenarios::$name($transport);
        })*
    };
}
pub(crate) use scenarios;

pub(crate) fn a_connection_is_used_again_and_the_request_arrives_whole(transport: impl Transport) {
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
    for _ in 0..3 {
        let answer = transport.send(post(&url, AMPLE)).expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (200, &b"done"[..]));
        assert_eq!(answer.headers()["x-one"], "1");
    }
    drop(transport);
    let requests = serving.join().expect("the server ends").remove(0);
    assert_eq!(requests.len(), 3);
    for (head, body) in requests {
        assert!(head.starts_with("post /v1 http/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: bearer key\r\n"), "{head}");
        assert_eq!(body, b"{\"events\":[]}");
    }
}

pub(crate) fn every_status_is_an_answer_and_redirects_are_not_followed(transport: impl Transport) {
    for status in [
        "204 No Content",
        "307 Temporary Redirect\r\nlocation: /elsewhere",
        "400 Bad Request",
        "503 Service Unavailable",
    ] {
        let (url, serving) = server(2, move |mut stream| {
            let asked = read_request(&mut reader(&stream)).is_some();
            // An answer without a length ends with the connection, so a second request needs another.
            let _ = write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
            asked
        });
        let answer = transport.send(post(&url, AMPLE)).expect("an answer");
        assert_eq!(answer.status().as_str(), &status[..3]);
        visit(&url);
        let asked = serving.join().expect("the server ends");
        assert_eq!(asked, [true, false], "{status}: no second request");
    }
}

pub(crate) fn an_endless_answer_is_cut_off(transport: impl Transport) {
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut reader(&stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("the client reads");
        let mut written = 0_usize;
        while stream.write_all(&[b'x'; 4096]).is_ok() {
            written += 4096;
        }
        written
    });
    let answer = transport.send(post(&url, AMPLE)).expect("an answer");
    assert_eq!(answer.body().len(), MAX_RESPONSE_BYTES);
    // Ends, since the connection is closed though the transport is still there.
    assert!(serving.join().expect("the server ends")[0] >= MAX_RESPONSE_BYTES);
    drop(transport);
}

pub(crate) fn an_endless_head_is_a_network_error(transport: impl Transport) {
    for part in ["x-many: 1\r\n", "one without an end"] {
        let (url, serving) = server(1, move |mut stream| {
            read_request(&mut reader(&stream));
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ").expect("the client reads");
            while stream.write_all(part.as_bytes()).is_ok() {}
        });
        let error = transport.send(post(&url, AMPLE)).expect_err("no answer");
        assert!(matches!(error, TransportError::Network(_)), "{part}: {error:?}");
        serving.join().expect("the server ends");
    }
}

pub(crate) fn silence_is_a_time_out(transport: impl Transport) {
    let (url, serving) = server(1, |stream| {
        let mut everything = Vec::new();
        let _ = BufReader::new(stream).read_to_end(&mut everything);
    });
    times_out(&transport, &url);
    serving.join().expect("the server ends");
}

pub(crate) fn a_trickle_is_a_time_out_too(transport: impl Transport) {
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut reader(&stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1").expect("sent");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    times_out(&transport, &url);
    serving.join().expect("the server ends");
}

pub(crate) fn a_broken_or_refused_connection_is_a_network_error(transport: impl Transport) {
    let (url, serving) = server(1, |stream| {
        read_request(&mut BufReader::new(stream));
    });
    let error = transport.send(post(&url, AMPLE)).expect_err("no answer");
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
    serving.join().expect("the server ends");
    // The listener is gone by now.
    let error = transport.send(post(&url, AMPLE)).expect_err("no answer");
    assert!(matches!(error, TransportError::Network(_)), "{error:?}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

pub(crate) fn an_answer_that_breaks_off_is_a_network_error(transport: impl Transport) {
    for part in [
        "HTTP/1.1 200 OK\r\nconte",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234",
        "??\r\n\r\n",
    ] {
        let (url, serving) = server(1, move |mut stream| {
            read_request(&mut reader(&stream));
            stream.write_all(part.as_bytes()).expect("the client reads");
        });
        let error = transport.send(post(&url, AMPLE)).expect_err("no answer");
        assert!(matches!(error, TransportError::Network(_)), "{part}: {error:?}");
        serving.join().expect("the server ends");
    }
}

pub(crate) fn what_cannot_work_is_neither(transport: impl Transport) {
    let (url, serving) = server(1, |mut stream| {
        let _ = stream.write_all(b"this is not TLS at all\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let https = url.replace("http:", "https:");
    let error = transport.send(post(&https, AMPLE)).expect_err("no answer");
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("Bearer"));
    if cfg!(not(feature = "rustls")) {
        // Then it never connected.
        visit(&url);
    }
    serving.join().expect("the server ends");
}

pub(crate) fn an_address_that_cannot_be_used_is_neither(transport: impl Transport) {
    for url in ["ftp://127.0.0.1/v1", "/v1"] {
        let error = transport.send(post(url, AMPLE)).expect_err("no answer");
        assert!(matches!(error, TransportError::Other(_)), "{url}: {error:?}");
    }
}

pub(crate) fn a_time_out_can_be_as_long_as_one_likes(transport: impl Transport) {
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut reader(&stream));
        answer(&mut stream, "200 OK", "");
    });
    assert!(transport.send(post(&url, Duration::MAX)).is_ok());
    serving.join().expect("the server ends");
}

/// Runs itself again in a child process, since a proxy is read from the environment.
pub(crate) fn loopback_is_not_reached_through_a_proxy(transport: impl Transport) {
    const URL: &str = "TELEMETRY_TRANSPORT_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        assert_eq!(transport.send(post(&url, AMPLE)).expect("an answer").status(), 200);
        return;
    }
    let (url, serving) = server(1, |mut stream| {
        read_request(&mut reader(&stream));
        answer(&mut stream, "200 OK", "");
    });
    let (proxy, proxying) = server(1, |mut stream| {
        let asked = read_request(&mut reader(&stream));
        answer(&mut stream, "502 Bad Gateway", "");
        asked
    });
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", thread::current().name().expect("named after the test")])
        .env(URL, &url)
        .envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, proxy.clone())))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .expect("this program runs");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    serving.join().expect("the server ends");
    // Nobody has asked the proxy, so it still waits.
    visit(&proxy);
    assert_eq!(proxying.join().expect("the proxy ends"), [None]);
}

#[cfg(feature = "rustls")]
pub(crate) fn a_certificate_of_nobody_is_refused_and_the_key_stays_here(transport: impl Transport) {
    let (identity, _) = crate::common::tls::Identity::of("127.0.0.1");
    let (url, serving) = server(1, move |stream| {
        let mut plain = Vec::new();
        let refused = identity.accept(stream).read_to_end(&mut plain).is_err();
        (refused, plain)
    });
    let https = url.replace("http:", "https:");
    let error = transport.send(post(&https, AMPLE)).expect_err("no answer");
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(serving.join().expect("the server ends"), [(true, Vec::new())]);
}

/// `trusting` makes a transport that trusts a certificate.
#[cfg(feature = "rustls")]
pub(crate) fn a_certificate_that_is_named_is_trusted_and_no_other<T: Transport>(
    trusting: impl Fn(&[u8]) -> T,
) {
    let (identity, certificate) = crate::common::tls::Identity::of("127.0.0.1");
    let (_, another) = crate::common::tls::Identity::of("127.0.0.1");
    let (url, serving) = server(2, move |stream| {
        let mut stream = BufReader::new(identity.accept(stream));
        let asked = read_request(&mut stream).map(|(head, _)| head);
        answer(stream.get_mut(), "200 OK\r\nconnection: close", "");
        asked
    });
    let https = url.replace("http:", "https:");
    assert!(trusting(&certificate).send(post(&https, AMPLE)).is_ok());
    let error = trusting(&another).send(post(&https, AMPLE)).expect_err("no answer");
    assert!(matches!(error, TransportError::Other(_)), "{error:?}");
    let asked = serving.join().expect("the server ends");
    assert!(
        asked[0].as_ref().is_some_and(|head| head.contains("\r\nauthorization: bearer key\r\n"))
    );
    assert_eq!(asked[1], None);
}

#[cfg(feature = "rustls")]
pub(crate) fn silence_before_tls_is_a_time_out(transport: impl Transport) {
    let (url, serving) = server(1, |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    times_out(&transport, &url.replace("http:", "https:"));
    serving.join().expect("the server ends");
}

fn times_out(transport: &impl Transport, url: &str) {
    let error = transport.send(post(url, BRIEF)).expect_err("no answer");
    assert!(matches!(error, TransportError::Timeout), "{error:?}");
}

fn reader(stream: &TcpStream) -> BufReader<TcpStream> {
    BufReader::new(stream.try_clone().expect("a second handle"))
}
