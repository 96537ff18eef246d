//! The program: its arguments, its lines, its end.

mod faults;

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
};

use crate::client::{Client, INSTANCE, batch, event};

/// A running program; killed if a test fails.
struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    addr: SocketAddr,
    /// What it printed until the first request.
    greeting: String,
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_telemetry-collector"))
}

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).stdin(Stdio::null()).output().expect("the program can be run")
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = command();
        command.args(["--port", "0"]).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program can be run");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut greeting = String::new();
        // To the third empty line.
        while greeting.matches("\n\n").count() < 3 {
            let read = out.read_line(&mut greeting).expect("it prints text");
            assert_ne!(read, 0, "it ended after {greeting:?}");
        }
        let first = greeting.lines().next().expect("there is a line");
        let addr =
            first.split_once("://").map(|(_, rest)| rest).and_then(|rest| rest.split(' ').next());
        let addr = addr.expect("the first line has the address").parse().expect("an address");
        Self { child, out, addr, greeting }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it prints text");
        line.trim_end().to_owned()
    }

    /// Sends a signal, and returns the status and what was printed since.
    fn end(mut self, signal: &str) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("there is a kill");
        assert!(sent.success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("it prints text");
        (self.child.wait().expect("it ends"), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_tells_of_each_request_and_ends_with_the_totals() {
    let mut program = Program::start(&["--instance-id", &INSTANCE.to_string()]);
    assert!(program.greeting.contains(&format!("SERVER_URL=http://{}\n", program.addr)));
    assert!(program.greeting.contains(&format!("INSTANCE_ID={INSTANCE}\n")));
    assert!(program.greeting.contains("Any key of 64 hexadecimal characters will do."));

    let mut client = Client::to(program.addr);
    let mut body = String::from_utf8(batch([event(1), event(1), event(2)])).unwrap();
    client.ask("POST /v1/events/batch", &[], body.as_bytes());
    assert_eq!(program.line(), "batch   1     3 events     2 accepted   1 duplicate   total 2");
    body = body.replace("\"retry_count\":0", "\"retry_count\":-1");
    client.ask("POST /v1/events/batch", &[], body.as_bytes());
    assert_eq!(program.line(), "batch   2     3 events     0 accepted   3 rejected   total 2");
    for _ in 0..3 {
        let line = program.line();
        assert!(line.starts_with("  00000000-0000-0000-0000-"), "{line}");
        assert!(line.contains(": /events/") && line.chars().count() <= 80, "{line}");
    }
    client.ask("POST /v1/predictions/batch", &[], br#"{"queries": []}"#);
    assert_eq!(program.line(), "predictions   0 queries   0 predicted");
    client.ask("GET /nowhere", &[], b"");
    assert!(program.line().starts_with("refused 404 GET /nowhere: no such path"));

    let (status, rest) = program.end("-TERM");
    assert!(status.success(), "{status}");
    assert_eq!(
        rest,
        "4 requests (1 refused), 2 batches, 6 events: 2 accepted (2 held, 0 evicted), \
         1 duplicate, 3 rejected\n"
    );
}

#[test]
fn control_c_ends_it_and_its_open_connections() {
    let key = "ab".repeat(32);
    let program = Program::start(&[&format!("--api-key={key}")]);
    assert!(!program.greeting.contains(&key));
    let mut client = Client::to(program.addr);
    assert_eq!(client.ask("POST /v1/events/batch", &[], &batch([event(1)])).status, 401);
    let (status, rest) = program.end("-INT");
    assert!(status.success(), "{status}");
    assert!(rest.ends_with("0 rejected\n"), "{rest}");
    assert!(client.receive().is_err());
}

#[test]
fn it_outlives_its_reader() {
    let mut program = Program::start(&[]);
    // As `head` does when it has seen enough.
    let unread = Command::new("true").stdout(Stdio::piped()).spawn().and_then(|mut child| {
        child.wait()?;
        child.stdout.take().ok_or_else(|| std::io::Error::other("it is piped"))
    });
    program.out = BufReader::new(unread.unwrap());
    let mut client = Client::to(program.addr);
    for id in 0..3 {
        assert_eq!(client.ask("POST /v1/events/batch", &[], &batch([event(id)])).status, 200);
    }
    let (status, _) = program.end("-TERM");
    assert!(status.success(), "{status}");
}

#[test]
fn every_bad_argument_is_told_and_no_key() {
    let output = run(&["--port", "x", "--api-key", "cafecafe", "--colour"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "telemetry-collector: --port: expected a number from 0 to 65535, found \"x\"\n\
         telemetry-collector: --api-key: expected 64 hexadecimal characters\n\
         telemetry-collector: \"--colour\": no such option\n\
         telemetry-collector: see telemetry-collector --help\n"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn help_names_every_option() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for option in ["--port", "--api-key", "--instance-id", "--fault", "--tls", "--ca", "--help"] {
        assert!(help.contains(option), "{option}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
}

#[test]
fn a_port_in_use_is_told_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&port) && told.contains("in use") && told.contains("--port 0"), "{told}");
}

#[cfg(feature = "tls")]
#[test]
fn it_speaks_tls_and_writes_its_authority() {
    let file = std::env::temp_dir().join(format!("telemetry-collector-{}.pem", std::process::id()));
    let name = file.to_str().unwrap();
    let mut program = Program::start(&["--tls", "other-name", "--ca", name]);
    let pem = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    assert!(program.greeting.contains("SERVER_URL=https://127.0.0.1:"));

    assert!(crate::tls::refuses(program.addr, &pem, "127.0.0.1"));
    assert!(program.line().starts_with("no TLS on connection 1: "));
    assert!(!crate::tls::refuses(program.addr, &pem, "other.example"));
    let output = run(&["--port=0", "--tls=right", "--ca", "/nowhere/ca.pem"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("--ca: cannot write \"/nowhere/ca.pem\""), "{told}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_the_feature_there_is_no_tls() {
    let output = run(&["--port=0", "--tls=right"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("built without the feature `tls`"), "{told}");
}
