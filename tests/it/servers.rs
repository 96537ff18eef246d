//! Servers that others run: FastAPI, nginx, squid. Only among the long tests, and where they are
//! installed.

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use mosaicstack_telemetry::{Health, TelemetryConfigBuilder, transport::Proxy};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use telemetry_tests::{KEY, long_tests, track};

use crate::{
    client::{Client, Kind},
    support::{AMPLE, eager, query},
};

/// Resolved by squid to loopback. Without a proxy, the clients cannot connect.
const HOST: &str = "telemetry.invalid";

/// The running servers. They end when it is dropped.
struct Servers {
    urls: HashMap<String, String>,
    folder: PathBuf,
    certificate: Vec<u8>,
    script: Child,
    /// The script ends when its input does.
    _input: Option<ChildStdin>,
}

impl Servers {
    /// `Err` with the names of programs and packages that are missing.
    fn start() -> Result<Self, String> {
        let folder = env::temp_dir().join(format!("telemetry-servers-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let hosts = ["127.0.0.1", HOST].map(str::to_owned);
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(hosts).expect("hosts").self_signed(&key);
        let certificate = certificate.expect("a certificate");
        fs::write(folder.join("server.pem"), certificate.pem()).expect("a file");
        fs::write(folder.join("server.key"), key.serialize_pem()).expect("a file");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/start.py");
        let script = Command::new("python3")
            .arg(script)
            .arg(&folder)
            .arg(KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut script = script.map_err(|error| format!("python3 ({error})"))?;
        let mut line = String::new();
        let output = script.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("UTF-8");
        let urls: HashMap<String, String> =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no servers: {line:?}"));
        let input = script.stdin.take();
        let certificate = certificate.der().to_vec();
        let servers = Self { urls, folder, certificate, script, _input: input };
        servers.urls.get("missing").cloned().map_or(Ok(servers), Err)
    }

    fn url(&self, name: &str) -> &str {
        self.urls.get(name).unwrap_or_else(|| panic!("no server {name}"))
    }

    /// Sends events, and compares the counters of client and API with what is expected.
    fn check(
        &self,
        kind: Kind,
        name: &str,
        config: TelemetryConfigBuilder,
        proxy: Option<Proxy>,
        events: usize,
        expected: Expected,
    ) {
        let api = if name == "BUSY" { "BUSY" } else { "API" };
        let before = self.counts(api);
        let config = config.allow_plain_http(true).max_retries(9);
        let config = config.shutdown_timeout(Duration::from_millis(1)).build();
        let config = config.expect("a configuration");
        let shown = format!("{kind:?}, {name}, {proxy:?}");
        let client = Client::trusting_through(kind, config, &self.certificate, proxy);
        track(&client.handle(), events);
        let flushed = client.flush(AMPLE);
        let stats = client.stats();
        client.stop();
        let [received, repeated] = self.counts(api);
        let events = events as u64;
        let (counts, health) = match expected {
            Delivered => ([events, 0], Health::Good),
            Retrying => ([0, events], Health::Retrying),
            Misconfigured => ([0, events], Health::Misconfigured),
        };
        let shown = format!("{shown}: {flushed:?}, {stats:?}");
        assert_eq!(flushed.is_ok(), expected == Delivered, "{shown}");
        assert_eq!([stats.delivered, stats.pending], counts, "{shown}");
        assert_eq!([received - before[0], repeated - before[1]], [counts[0], 0], "{shown}");
        assert_eq!(stats.health, health, "{shown}");
    }

    /// The numbers of accepted and repeated events of an application.
    fn counts(&self, name: &str) -> [u64; 2] {
        let address = self.url(name).trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request =
            format!("GET /counts HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("UTF-8");
        let body = response.split("\r\n\r\n").nth(1).expect("a body");
        let counts: Value = serde_json::from_str(body).expect("JSON");
        ["events", "repeated"].map(|name| counts[name].as_u64().expect("a count"))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self._input.take());
        let _ = self.script.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Result of events sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Delivered,
    /// Kept, since the server is busy or cannot be reached.
    Retrying,
    /// Kept, since the server, the key or the URL is another one.
    Misconfigured,
}
use Expected::{Delivered, Misconfigured, Retrying};

/// Server, path below its URL, number of events, result.
const DIRECT: [(&str, &str, usize, Expected); 19] = [
    ("API", "", 3, Delivered),
    ("API", "/elsewhere", 3, Misconfigured),
    ("BUSY", "", 3, Delivered),
    ("OTHER_KEY", "", 3, Misconfigured),
    ("OTHER_HEADER", "", 250, Misconfigured),
    ("PLAIN", "", 3, Delivered),
    ("SHORT_KEEP_ALIVE", "", 250, Delivered),
    ("BODY_LIMIT", "", 250, Delivered),
    ("RATE_429", "", 1_000, Delivered),
    ("RATE_503", "", 1_000, Delivered),
    ("DEAD_UPSTREAM", "", 3, Retrying),
    ("DROPS", "", 3, Retrying),
    ("PREFIX", "/telemetry", 3, Delivered),
    ("PREFIX", "", 3, Misconfigured),
    ("WEB_PAGE", "", 250, Misconfigured),
    ("TLS_12", "", 3, Delivered),
    ("TLS_13", "", 3, Delivered),
    ("CLIENT_CERTIFICATE", "", 250, Misconfigured),
    // Plain HTTP on a port with TLS.
    ("http TLS_13", "", 250, Misconfigured),
];

/// Proxy, user and password in its URL, server, result.
const PROXIED: [(&str, &str, &str, Expected); 7] = [
    ("OPEN", "", "PLAIN", Delivered),
    ("OPEN", "", "TLS_12", Delivered),
    ("OPEN", "", "TLS_13", Delivered),
    ("PASSWORD", "agent:a%20word@", "TLS_13", Delivered),
    ("PASSWORD", "agent:another@", "TLS_13", Misconfigured),
    ("PASSWORD", "", "TLS_13", Misconfigured),
    ("CLOSED", "", "TLS_13", Misconfigured),
];

#[test]
fn events_reach_usable_servers_and_stay_queued_before_others() {
    if !long_tests() {
        return;
    }
    let servers = match Servers::start() {
        Ok(servers) => servers,
        Err(missing) => return println!("skipped: needs {missing}"),
    };
    for kind in Kind::ALL {
        for (name, path, events, expected) in DIRECT {
            let url = match name.strip_prefix("http ") {
                Some(name) => servers.url(name).replace("https:", "http:"),
                None => servers.url(name).to_owned(),
            };
            let config = eager(&format!("{url}{path}"));
            servers.check(kind, name, config, None, events, expected);
        }
        for (proxy, credentials, name, expected) in PROXIED {
            let proxy = servers.url(proxy).replace("//", &format!("//{credentials}"));
            let url = servers.url(name).replace("127.0.0.1", HOST);
            let proxy = Proxy::new(&proxy).expect("a proxy");
            servers.check(kind, name, eager(&url), Some(proxy), 3, expected);
        }
        let config = eager(servers.url("PLAIN")).build().expect("a configuration");
        let client = Client::trusting(kind, config, &servers.certificate);
        let predictions = client.get_all(&[query(0), query(1)]).expect("predictions");
        let sizes: Vec<_> = predictions.iter().map(|it| it.metadata.sample_size).collect();
        assert_eq!(sizes, [9, 9]);
    }
}
