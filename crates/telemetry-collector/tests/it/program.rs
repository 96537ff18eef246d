//! The program: its output, its faults and its end.

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use crate::client::{Client, EVENTS, INSTANCE, batch, event};

/// A running program; killed if a test fails.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// The output with the greeting.
    pub(crate) out: BufReader<Box<dyn Read + Send>>,
    pub(crate) addr: SocketAddr,
    pub(crate) greeting: String,
}

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_telemetry-collector"))
}

pub(crate) fn run(args: &[&str]) -> Output {
    command().args(args).stdin(Stdio::null()).output().expect("the program can be run")
}

/// Runs the program, which is to exit with this code. Returns its errors.
pub(crate) fn errors(args: &[&str], code: i32) -> String {
    let output = run(args);
    let errors = String::from_utf8(output.stderr).expect("errors are text");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{errors}");
    errors
}

impl Program {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, |command| command.stdout(Stdio::piped()))
    }

    /// Reads the greeting from stderr if that is piped, else from stdout.
    pub(crate) fn start_with(
        args: &[&str],
        configure: impl Fn(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = command();
        configure(command.args(["--port", "0"]).args(args));
        let mut child = command.spawn().expect("the program can be run");
        let out: Box<dyn Read + Send> = match child.stderr.take() {
            Some(stderr) => Box::new(stderr),
            None => Box::new(child.stdout.take().expect("it is piped")),
        };
        let mut out = BufReader::new(out);
        let mut greeting = String::new();
        // The greeting ends with its third empty line.
        while greeting.matches("\n\n").count() < 3 {
            let read = out.read_line(&mut greeting).expect("it prints text");
            assert_ne!(read, 0, "it ended after {greeting:?}");
        }
        let addr = greeting.split_once("://").and_then(|(_, rest)| rest.split_once(' '));
        let addr = addr.expect("the first line has a URL").0.parse().expect("an address");
        Self { child, out, addr, greeting }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it prints text");
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("there is a kill");
        assert!(sent.success());
    }

    /// Sends a signal. Returns the status and the rest of the output.
    pub(crate) fn end(mut self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("it prints text");
        (self.child.wait().expect("it ends"), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_request_is_printed_and_sigterm_prints_the_totals() {
    let mut program = Program::start(&["--instance-id", &INSTANCE.to_string()]);
    assert!(program.greeting.contains(&format!("SERVER_URL=http://{}\n", program.addr)));
    assert!(program.greeting.contains(&format!("INSTANCE_ID={INSTANCE}\n")));
    let page = format!("A browser shows the events at http://{}/\n", program.addr);
    assert_eq!(program.greeting.contains(&page), cfg!(feature = "page"));

    let mut client = Client::to(program.addr);
    let body = String::from_utf8(batch([event(1), event(1), event(2)])).unwrap();
    client.request(EVENTS, body.as_bytes());
    assert_eq!(program.line(), "batch   1     3 events     2 accepted   1 duplicate   total 2");
    let body = body.replace("\"retry_count\":0", "\"retry_count\":-1");
    client.request(EVENTS, body.as_bytes());
    assert_eq!(program.line(), "batch   2     3 events     0 accepted   3 rejected   total 2");
    for _ in 0..3 {
        let line = program.line();
        assert!(line.starts_with("  00000000-0000-0000-0000-"), "{line}");
        assert!(line.contains(": /events/") && line.chars().count() <= 80, "{line}");
    }
    client.request("POST /v1/predictions/batch", br#"{"queries": []}"#);
    assert_eq!(program.line(), "predictions   0 queries   0 predicted");
    client.request("GET /nowhere", b"");
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
fn shown_events_are_all_that_is_printed_to_stdout() {
    for (option, heading, part) in [
        ("--show", None, "{\"instance_id\":"),
        ("--show=table", Some("UTC  "), " unknown        failure "),
    ] {
        let mut program = Program::start_with(&[option], |command| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped())
        });
        let mut client = Client::to(program.addr);
        client.request(EVENTS, &batch([event(1), event(1), event(2)]));
        client.request("GET /nowhere", b"");
        let events = program.child.stdout.take().expect("it is piped");
        let (status, rest) = program.end("-TERM");
        assert!(status.success() && rest.contains("refused 404") && rest.contains("2 accepted"));
        let events = std::io::read_to_string(events).expect("it prints text");
        let mut lines = events.lines();
        if let Some(heading) = heading {
            assert!(lines.next().is_some_and(|line| line.starts_with(heading)), "{events}");
        }
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 2, "{events}");
        assert!(lines.iter().all(|line| line.contains(part)), "{events}");
    }
}

#[test]
fn ctrl_c_ends_the_program_and_its_connections() {
    let key = "ab".repeat(32);
    let program = Program::start(&[&format!("--api-key={key}")]);
    assert!(!program.greeting.contains(&key));
    let mut client = Client::to(program.addr);
    assert_eq!(client.request(EVENTS, &batch([event(1)])).status, 401);
    let (status, rest) = program.end("-INT");
    assert!(status.success() && rest.ends_with("0 rejected\n"), "{status} {rest}");
    assert!(client.receive().is_err());
}

#[test]
fn program_serves_after_its_output_is_closed() {
    let mut program = Program::start(&[]);
    // Closes the pipe, as `head` does.
    let mut other = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    program.out = BufReader::new(Box::new(other.stdout.take().unwrap()));
    other.wait().unwrap();
    let mut client = Client::to(program.addr);
    for id in 0..3 {
        assert_eq!(client.request(EVENTS, &batch([event(id)])).status, 200);
    }
    assert!(program.end("-TERM").0.success());
}

#[test]
fn invalid_argument_is_an_error_and_help_is_not() {
    let error = errors(&["--port", "x"], 2);
    assert!(error.contains("--port") && error.contains("--help"), "{error}");
    assert!(!errors(&["--api-key", "cafecafe"], 2).contains("cafecafe"));
    let help = run(&["--help"]);
    assert!(help.status.success() && help.stdout.len() > 1_000);
}

#[test]
fn port_in_use_is_an_error_with_alternatives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let error = errors(&["--port", &port], 1);
    assert!(error.contains(&port) && error.contains("--port 0"), "{error}");
}

#[cfg(feature = "sqlite")]
#[test]
fn store_is_named_at_the_start_and_kept_for_the_next_run() {
    let folder = crate::store::Folder::new();
    let file = folder.file();
    let path = file.to_str().expect("the path is text");
    let options = ["--store", path, "--keep", "90d", "--max-size", "1GB"];
    for held in 0..3 {
        let mut program = Program::start(&options);
        assert_eq!(program.line(), format!("store: {path}, {held} events"));
        let error = errors(&["--port=0", "--store", path], 1);
        assert!(error.contains(path) && error.contains("another process has it open"), "{error}");
        let response = Client::to(program.addr).request(EVENTS, &batch([event(held)]));
        assert_eq!(response.status, 200);
        let (status, rest) = program.end("-TERM");
        let held = format!("1 accepted ({} held, 0 evicted)", held + 1);
        assert!(status.success() && rest.contains(&held), "{rest}");
    }
    std::fs::write(&file, "no database").unwrap();
    let error = errors(&["--port=0", "--store", path], 1);
    assert!(error.starts_with("error: store ") && error.contains("is not a store"), "{error}");
}

#[cfg(feature = "postgres")]
#[test]
fn url_of_a_store_is_shown_without_its_password() {
    // Nothing listens there.
    let url = "postgres://user:secret@127.0.0.1:1/d?application_name=secret";
    let error = errors(&["--port=0", "--store", url], 1);
    assert!(error.starts_with("error: store postgres://user@127.0.0.1:1/d: "), "{error}");
    assert!(error.contains("no connection") && !error.contains("secret"), "{error}");

    let Some(cluster) = crate::cluster::cluster() else { return };
    let url = cluster.url(&cluster.database()).replace('@', ":secret@");
    for held in 0..2 {
        let mut program = Program::start(&["--store", &url, "--keep", "90d", "--max-size", "1GB"]);
        assert_eq!(program.line(), format!("store: PostgreSQL, {held} events"));
        let response = Client::to(program.addr).request(EVENTS, &batch([event(held)]));
        assert_eq!(response.status, 200);
        let (status, rest) = program.end("-TERM");
        assert!(status.success() && !rest.contains("secret"), "{rest}");
    }
}

#[test]
fn faults_are_injected_and_printed() {
    let faults = [
        r#"{"status":503,"retry_after":3,"body":"a,b","times":1}"#,
        r#"{"action":"close_after_processing","path":"/v1/events/batch","skip":1,"times":1}"#,
        r#"{"action":"close_before_reading","skip":1}"#,
    ];
    let mut program = Program::start(&faults.map(|fault| ["--fault", fault]).concat());
    for (number, fault) in (1..).zip(faults) {
        assert_eq!(program.line(), format!("fault {number}: {fault}"));
    }
    let mut client = Client::to(program.addr);
    let response = client.request("GET /", b"");
    assert_eq!((response.status, response.header("retry-after")), (503, Some("3")));
    assert_eq!(response.body, b"a,b");
    assert_eq!(
        program.line(),
        "fault on request 1, GET /: status 503, retry-after, body of 3 bytes"
    );
    client.post(1);
    assert_eq!(client.receive().unwrap().status, 200, "the first batch");
    assert!(program.line().starts_with("batch   1     1 event "));
    client.post(2);
    assert!(client.receive().is_err());
    let line = program.line();
    assert_eq!(line, "fault on request 3, POST /v1/events/batch: close after processing");
    assert!(program.line().starts_with("batch   2     1 event      1 accepted"));
    assert_eq!(Client::to(program.addr).rest(), b"");
    assert_eq!(program.line(), "fault on connection 2: close before reading");
    let (status, rest) = program.end("-TERM");
    assert!(status.success() && rest.starts_with("3 requests (1 refused), 2 batches"), "{rest}");
}

#[test]
fn redirect_leads_to_a_recorder_that_prints_its_requests() {
    let mut program = Program::start(&["--fault", r#"{"action":"redirect","status":308}"#]);
    program.line();
    let line = program.line();
    let url = line.strip_prefix("recorder: ").expect("the URL of the recorder");
    let mut client = Client::to(program.addr);
    client.post(1);
    let response = client.receive().unwrap();
    let location = format!("{url}/v1/events/batch");
    assert_eq!((response.status, response.header("location")), (308, Some(location.as_str())));
    program.line();

    let mut client = Client::to(url.strip_prefix("http://").unwrap().parse().unwrap());
    client.request_with(EVENTS, &[("authorization", "Bearer cafe")], b"foobar");
    let line = program.line();
    assert_eq!(
        line,
        "recorder: key present, 6 bytes, hash 85944171f73967e8, POST /v1/events/batch"
    );
    let (_, rest) = program.end("-TERM");
    assert!(rest.ends_with("recorder: 1 requests\n"), "{rest}");
}

/// The peak memory of the program, in KiB.
#[cfg(target_os = "linux")]
fn peak(program: &Program) -> u64 {
    let status = format!("/proc/{}/status", program.child.id());
    let status = std::fs::read_to_string(status).expect("the program runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_independent_of_the_size_of_responses() {
    let mut program = Program::start(&[
        r#"--fault={"body_size":1073741824,"skip":1,"times":1}"#,
        r#"--fault={"nested_json":300000000,"chunked":true,"skip":2,"times":1}"#,
        r#"--fault={"endless_head":true,"skip":3}"#,
    ]);
    // Allocates the memory that every request needs.
    Client::to(program.addr).request("GET /", b"");
    (0..3).for_each(|_| drop(program.line()));
    let before = peak(&program);
    let mut buffer = vec![0; 1 << 20];
    for size in [1 << 30, 600_000_000, 100_000_000] {
        let mut client = Client::to(program.addr);
        client.send("GET /", &[], b"");
        let mut read = 0;
        while read < size {
            let some = client.read(&mut buffer).unwrap();
            assert_ne!(some, 0, "it ended after {read} bytes");
            read += some;
        }
    }
    let growth = peak(&program) - before;
    assert!(growth < 8 * 1024, "{growth} KiB");
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_served_and_the_ca_written() {
    use crate::tls;

    let file = std::env::temp_dir().join(format!("telemetry-collector-{}.pem", std::process::id()));
    let mut program =
        Program::start(&["--tls", "wrong-host", "--ca", file.to_str().expect("the path is text")]);
    let pem = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(program.greeting.contains("SERVER_URL=https://127.0.0.1:"));
    let accepts = |host| {
        let mut client = tls::client(program.addr, tls::from_pem(&pem), host);
        client.write("GET / HTTP/1.1\r\n\r\n").is_ok()
    };
    assert!(!accepts("127.0.0.1") && accepts("other.example"));
    assert!(program.line().starts_with("TLS handshake failed on connection 1: "));
    let error = errors(&["--port=0", "--tls=valid", "--ca", "/nowhere/ca.pem"], 1);
    assert!(error.contains("failed to write --ca \"/nowhere/ca.pem\""), "{error}");
}
