//! Spellings of loopback, the only host that gets the key without TLS.

use telemetry_tests::config;

/// Spellings of loopback.
const LOOPBACK: &str = "http://localhost http://LOCALHOST:8000 http://LocalHost/base/ http://127.0.0.1 \
    http://127.1.2.3:8000 http://127.255.255.254 http://[::1] http://[::1]:8000 \
    http://[0:0:0:0:0:0:0:1]/base";

/// Other hosts, including spellings that some resolvers map to loopback.
const ELSEWHERE: &str = "http://example.com http://localhost.example.com http://localhost.localdomain \
    http://localhost. http://foo.localhost http://xn--localhost-9za \
    http://localhost%2eevil.example http://127.0.0.1.nip.io http://127.0.0.1. http://127.1 \
    http://127.0.1 http://127 http://2130706433 http://0x7f000001 http://0x7f.0.0.1 \
    http://0177.0.0.1 http://127.0.0.01 http://128.0.0.1 http://0.0.0.0 http://0 http://[::] \
    http://[::ffff:127.0.0.1] http://[::ffff:7f00:1] http://[::127.0.0.1] http://[::1%25eth0]";

/// Invalid URLs that look like loopback, besides those with white space.
const TRICKS: &str = "http://127.0.0.1@evil.example http://localhost@evil.example/ \
    http://localhost:80@evil.example http://user:word@localhost http://localhost:@evil.example \
    http://127.0.0.1\\@evil.example http://evil.example\\@127.0.0.1 \
    http://evil.example#@127.0.0.1 http://evil.example?@127.0.0.1 http://127.0.0.1#@evil.example \
    http://[::1]evil.example http://[::1]@evil.example http://[::1].evil.example:80 \
    http:///localhost http:localhost //localhost";

#[test]
fn plain_http_is_refused_except_to_loopback() {
    for url in LOOPBACK.split(' ') {
        assert!(config(url).build().is_ok(), "{url}");
    }
    for url in ELSEWHERE.split(' ') {
        let refused = config(url).build().unwrap_err();
        assert_eq!(refused.issues()[0].parameter, "server_url", "{url}");
        let secure = url.replacen("http:", "https:", 1);
        let is_valid = config(&secure).build().is_ok();
        let allowed = config(url).allow_plain_http(true).build();
        assert_eq!(allowed.is_ok(), is_valid, "{url}");
        if is_valid {
            let message = refused.to_string();
            assert!(message.contains("would be sent unencrypted"), "{url}: {message}");
            assert!(message.contains("allow_plain_http"), "{url}: {message}");
        }
    }
    for url in
        TRICKS.split(' ').chain(["http://localhost evil.example", "http://localhost\tevil.example"])
    {
        for allow in [false, true] {
            let built = config(url).allow_plain_http(allow).build();
            assert!(built.is_err(), "{url}, allow_plain_http({allow})");
        }
    }
}
