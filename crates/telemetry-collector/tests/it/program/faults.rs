//! The program with `--fault`.

use super::{Program, run};
use crate::client::Client;

#[test]
fn it_misbehaves_as_told_and_tells_of_it() {
    let mut program = Program::start(&[
        "--fault",
        "503,header=retry-after:3,body=a\\,b,nth=1",
        "--fault=close-after-taking,path=events,nth=2",
        "--fault",
        "normal,cut=body,from=3,to=3",
        "--fault=close-before-reading,nth=4",
    ]);
    for fault in [
        "fault: status 503, with retry-after, body of 3 bytes, for request 1",
        "fault: closed after taking, for request 2 to /v1/events/batch",
        "fault: the usual answer, cut in the body, for request 3",
        "fault: closed before reading, for connection 4",
    ] {
        assert_eq!(program.line(), fault);
    }
    let mut client = Client::to(program.addr);
    let answered = client.ask("GET /", &[], b"");
    assert_eq!((answered.status, answered.header("retry-after")), (503, Some("3")));
    assert_eq!(answered.body, b"a,b");
    assert_eq!(
        program.line(),
        "fault on request 1, GET /: status 503, with retry-after, body of 3 bytes"
    );
    client.post(1);
    assert_eq!(client.receive().unwrap().status, 200, "the first report is not the second");
    assert!(program.line().starts_with("batch   1     1 event "));
    client.post(2);
    assert!(client.receive().is_err());
    assert_eq!(program.line(), "fault on request 3, POST /v1/events/batch: closed after taking");
    assert!(program.line().starts_with("batch   2     1 event      1 accepted"));

    // The second fault took the third request before the third could.
    let mut client = Client::to(program.addr);
    assert_eq!(client.ask("GET /nowhere", &[], b"").status, 404);
    assert!(program.line().starts_with("refused 404 GET /nowhere"));
    let mut client = Client::to(program.addr);
    assert_eq!(client.ask("GET /", &[], b"").status, 200);
    assert_eq!(Client::to(program.addr).rest(), b"");
    assert_eq!(program.line(), "fault on connection 4: closed before reading");
    let (status, rest) = program.end("-TERM");
    assert!(status.success(), "{status}");
    assert!(rest.starts_with("5 requests (2 refused), 2 batches"), "{rest}");
}

#[test]
fn a_redirect_leads_to_a_recorder_that_tells_of_keys() {
    let mut program = Program::start(&["--fault", "redirect=308,path=events,nth=1"]);
    let line = program.line();
    let url = line.strip_prefix("fault: status 308 to ").and_then(|rest| rest.split(',').next());
    let url = url.expect("the line has the recorder's address").trim_end_matches('/').to_owned();

    let mut client = Client::to(program.addr);
    client.post(1);
    let answered = client.receive().unwrap();
    let expected = format!("{url}/v1/events/batch");
    assert_eq!((answered.status, answered.header("location")), (308, Some(expected.as_str())));
    assert!(program.line().starts_with("fault on request 1, POST /v1/events/batch: status 308 to"));

    let recorder = url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_ne!(recorder, program.addr);
    let mut client = Client::to(recorder);
    client.ask("POST /v1/events/batch", &[("authorization", "Bearer cafe")], b"foobar");
    assert_eq!(
        program.line(),
        "recorder: key present, 6 bytes, hash 85944171f73967e8, POST /v1/events/batch"
    );
    client.ask("GET /", &[], b"");
    assert_eq!(program.line(), "recorder: key absent, 0 bytes, hash cbf29ce484222325, GET /");
    let (_, rest) = program.end("-TERM");
    assert!(rest.ends_with("recorder: 2 requests\n"), "{rest}");
}

#[test]
fn a_byte_a_second_and_a_gibibyte_can_be_asked_for() {
    let mut program = Program::start(&[
        "--fault=normal,pace=1/5m,nth=1",
        "--fault=normal,body-size=1GiB,chunked,nth=2",
    ]);
    let (_, _) = (program.line(), program.line());
    let mut slow = Client::to(program.addr);
    slow.post(1);
    let mut buffer = [0; 64];
    assert_eq!((slow.some(&mut buffer).unwrap(), buffer[0]), (1, b'H'));
    let mut huge = Client::to(program.addr);
    huge.post(2);
    let answered = huge.receive().unwrap();
    assert_eq!(answered.header("transfer-encoding"), Some("chunked"));
    // Prompt, with both under way.
    let (status, _) = program.end("-INT");
    assert!(status.success(), "{status}");
}

/// The most memory that the program has used so far, in KiB.
#[cfg(target_os = "linux")]
fn peak(program: &Program) -> u64 {
    let status = format!("/proc/{}/status", program.child.id());
    let status = std::fs::read_to_string(status).expect("the program runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_huge_is_never_in_memory() {
    let mut program = Program::start(&[
        "--fault=normal,body-size=1GiB,nth=2",
        "--fault=normal,nested-json=300000000,chunked,nth=3",
        "--fault=normal,endless-head,nth=4",
    ]);
    // The first request has what every request needs.
    Client::to(program.addr).ask("GET /", &[], b"");
    (0..3).for_each(|_| drop(program.line()));
    let before = peak(&program);
    let mut buffer = vec![0; 1 << 20];
    for at_least in [1 << 30, 600_000_000, 100_000_000] {
        let mut client = Client::to(program.addr);
        client.send("GET /", &[], b"");
        let mut read = 0;
        while read < at_least {
            let some = client.some(&mut buffer).unwrap();
            assert_ne!(some, 0, "it ended after {read} bytes");
            read += some;
        }
    }
    let grown = peak(&program) - before;
    assert!(grown < 8 * 1024, "{grown} KiB");
}

#[test]
fn every_fault_in_a_fault_is_told() {
    let output = run(&["--fault", "600,nth=0,retry=1", "--fault=999x", "--tls", "good"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = told.lines().collect();
    for (line, expected) in lines.iter().zip([
        "--fault 1: nth: expected a number from 1 on, found \"0\"",
        "--fault 1: \"retry\": no such option; there are header, body, ",
        "--fault 2: \"999x\": expected a status from 200 to 999, normal, redirect, close, ",
        "--tls: expected right, self-signed, expired or other-name, found \"good\"",
        "see telemetry-collector --help",
    ]) {
        assert!(line.starts_with(&format!("telemetry-collector: {expected}")), "{line}");
    }
    assert_eq!(lines.len(), 5, "{told}");
}
