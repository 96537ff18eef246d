//! Selection of a proxy from the environment.

use std::{
    env,
    io::{BufReader, Write},
    net::TcpListener,
    process::Command,
    thread,
};

use http::Uri;

use super::{lookup, server::read_request};
use crate::proxy::Proxies;

/// In values of variables: the proxy, and one that must not be used.
const PROXY: &str = "http://127.0.0.1:3128";
const OTHER: &str = "http://127.0.0.1:1";

type Variables = &'static [(&'static str, &'static str)];

/// URL, variables, and whether it is reached through [`PROXY`]. As with curl.
const AS_CURL: &[(&str, Variables, bool)] = &[
    ("http://example.com/", &[], false),
    ("http://example.com/", &[("http_proxy", PROXY)], true),
    ("http://example.com/", &[("http_proxy", "127.0.0.1:3128")], true),
    ("http://example.com/", &[("https_proxy", PROXY)], false),
    ("http://example.com/", &[("http_proxy", ""), ("ALL_PROXY", PROXY)], true),
    ("http://example.com/", &[("http_proxy", PROXY), ("HTTP_PROXY", OTHER)], true),
    ("http://example.com/", &[("http_proxy", PROXY), ("ALL_PROXY", OTHER)], true),
    ("http://example.com/", &[("all_proxy", PROXY), ("ALL_PROXY", OTHER)], true),
    ("http://example.com/", &[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", PROXY)], false),
    ("http://example.com/", &[("REQUEST_METHOD", "GET"), ("http_proxy", PROXY)], true),
    ("https://example.com/", &[("http_proxy", PROXY)], false),
    ("https://example.com/", &[("HTTP_PROXY", PROXY)], false),
    ("https://example.com/", &[("HTTPS_PROXY", PROXY)], true),
    ("https://example.com/", &[("HTTPS_PROXY", PROXY), ("ALL_PROXY", OTHER)], true),
    ("https://example.com/", &[("https_proxy", PROXY), ("HTTPS_PROXY", OTHER)], true),
    ("https://example.com/", &[("https_proxy", ""), ("HTTPS_PROXY", PROXY)], true),
    ("https://example.com/", &[("HTTPS_PROXY", ""), ("https_proxy", PROXY)], true),
    ("https://example.com/", &[("all_proxy", PROXY), ("http_proxy", OTHER)], true),
    ("http://example.com/", &[NO_PROXY_FIRST, ("no_proxy", "other"), ("NO_PROXY", "*")], true),
    ("http://example.com/", &[NO_PROXY_FIRST, ("no_proxy", ""), ("NO_PROXY", "*")], false),
    ("http://example.com:81/", &[NO_PROXY_FIRST, ("no_proxy", "example.com")], false),
    ("https://example.com/", &[("https_proxy", PROXY), ("no_proxy", "example.com")], false),
];

const NO_PROXY_FIRST: (&str, &str) = ("http_proxy", PROXY);

/// `NO_PROXY`, host, and whether it is reached through the proxy. As with curl.
const NO_PROXY_AS_CURL: &[(&str, &str, bool)] = &[
    ("", "example.com", true),
    ("*", "example.com", false),
    ("example.com", "example.com", false),
    ("example.com", "Example.COM", false),
    ("EXAMPLE.com", "a.example.com", false),
    ("example.com", "notexample.com", true),
    ("example.com", "example.com.org", true),
    (".example.com", "example.com", false),
    (".example.com", "a.b.example.com", false),
    ("example.com.", "example.com", false),
    ("example.com", "example.com.", false),
    ("a.example.com", "example.com", true),
    ("com", "example.com", false),
    ("example.*", "example.com", true),
    ("other,example.com", "example.com", false),
    (" other , example.com ", "example.com", false),
    ("other example.com", "example.com", false),
    (",,example.com", "example.com", false),
    ("10.1.2.3", "10.1.2.3", false),
    ("10.1.2.3", "10.1.2.4", true),
    ("2.3", "10.1.2.3", true),
    ("10.", "10.1.2.3", true),
    ("10.0.0.0/8", "10.1.2.3", false),
    ("10.0.0.0/8", "11.1.2.3", true),
    ("10.1.2.0/30", "10.1.2.3", false),
    ("10.1.2.0/31", "10.1.2.3", true),
    ("10.1.2.3/32", "10.1.2.3", false),
    ("10.1.2.3/33", "10.1.2.3", true),
    ("10.1.2.x/8", "10.1.2.3", true),
    ("10.0.0.0/8", "10.1", false),
    ("10.0.0.0/8", "0xa.1.2.3", false),
    ("fd00::1", "[fd00::1]", false),
    ("fd00::2", "[fd00::1]", true),
];

/// The same, where curl has a rule that is stricter, or depends on its version.
const NO_PROXY: &[(&str, &str, bool)] = &[
    ("other,*", "example.com", false),
    ("*.example.com", "a.example.com", false),
    ("*.example.com", "notexample.com", true),
    ("example.com:80", "example.com", false),
    ("example.com:81", "example.com", true),
    ("10.1.2.3:80", "10.1.2.3", false),
    ("[fd00::1]", "[fd00::1]", false),
    ("[fd00::1]:80", "[fd00::1]", false),
    ("[fd00::1]:81", "[fd00::1]", true),
    ("FD00:0::1", "[fd00::1]", false),
    ("fd00::/8", "[fd00::1]", false),
    ("fd00::/16", "[fd01::1]", true),
    ("fd00::/129", "[fd00::1]", true),
    ("::/0", "[fd00::1]", false),
    ("0.0.0.0/0", "10.1.2.3", false),
    ("0.0.0.0/0", "[fd00::1]", true),
    ("10.1.2.3", "[::ffff:10.1.2.3]", false),
    ("[", "example.com", true),
    (":80", "example.com", true),
    ("/8", "10.1.2.3", true),
];

type Case = (String, Vec<(&'static str, String)>, bool);

fn no_proxy(&(list, host, expected): &(&'static str, &str, bool)) -> Case {
    let variables = vec![("http_proxy", PROXY.to_owned()), ("NO_PROXY", list.to_owned())];
    (format!("http://{host}/"), variables, expected)
}

fn cases_as_curl() -> impl Iterator<Item = Case> {
    let owned = |variables: &[(&'static str, &str)]| {
        variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let first = AS_CURL
        .iter()
        .map(move |(url, variables, expected)| ((*url).to_owned(), owned(variables), *expected));
    first.chain(NO_PROXY_AS_CURL.iter().map(no_proxy))
}

#[test]
fn proxy_is_selected_as_documented() {
    for (url, variables, expected) in cases_as_curl().chain(NO_PROXY.iter().map(no_proxy)) {
        let pairs: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
        let proxies = Proxies::read(lookup(&pairs));
        let proxy = proxies.route(&url.parse::<Uri>().unwrap()).unwrap();
        let authority = proxy.map(|proxy| proxy.uri().authority().unwrap().as_str());
        let expected = expected.then(|| PROXY.trim_start_matches("http://"));
        assert_eq!(authority, expected, "{url} {variables:?}");
    }
    // Not read by curl, but by other programs.
    let proxies = Proxies::read(lookup(&[("HTTP_PROXY", PROXY)]));
    assert!(proxies.route(&Uri::from_static("http://example.com")).unwrap().is_some());
}

#[test]
fn unsupported_proxy_is_named_without_its_value() {
    let variables = [("ALL_PROXY", "socks5://user:secret@a:1"), ("http_proxy", PROXY)];
    let proxies = Proxies::read(lookup(&variables));
    assert!(proxies.route(&Uri::from_static("http://example.com")).unwrap().is_some());
    let error = proxies.route(&Uri::from_static("https://example.com")).unwrap_err().to_string();
    assert!(error.contains("ALL_PROXY") && !error.contains("secret"), "{error}");
    assert!(proxies.route(&Uri::from_static("https://localhost")).unwrap().is_none());
}

/// Among the long tests, since versions of curl before 7.86 differ.
#[test]
fn curl_selects_the_same_proxy() {
    let is_installed = Command::new("curl").arg("--version").output().is_ok();
    if !is_installed || env::var_os("TELEMETRY_LONG_TESTS").is_none() {
        println!("skipped: needs curl 7.86 or later and TELEMETRY_LONG_TESTS");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            read_request(&mut stream);
            let _ = stream.get_mut().write_all(b"HTTP/1.1 418 No\r\ncontent-length: 0\r\n\r\n");
        }
    });
    for (url, variables, expected) in cases_as_curl() {
        let mut curl = Command::new("curl");
        // Direct connections go to a closed port.
        curl.args(["-q", "-s", "-g", "-w", "%{http_code} %{http_connect}", &url])
            .args(["--connect-to", "::127.0.0.1:1"]);
        curl.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        for (name, value) in &variables {
            curl.env(name, value.replace("127.0.0.1:3128", &proxy));
        }
        let output = String::from_utf8(curl.output().unwrap().stdout).unwrap();
        assert_eq!(output.contains("418"), expected, "{url} {variables:?}: {output}");
    }
}
