//! The program with keys of a file.

use std::process::Stdio;

use crate::{
    client::{Client, EVENTS, batch, event},
    program::{Program, errors, run},
    temporary::TemporaryFile,
};

/// A new key and its entry, as the program prints them.
fn new_key(name: &str) -> (String, String) {
    let output = run(&["--new-key", name]);
    assert!(output.status.success());
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    let (entry, message) = (text(output.stdout), text(output.stderr));
    let key = message.lines().map(str::trim).find(|line| line.len() == 64).expect("a key");
    assert!(!entry.contains(key));
    (key.to_owned(), entry)
}

fn post(program: &Program, key: &str, id: u128) -> u16 {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", &*bearer)];
    Client::to(program.addr).request_with(EVENTS, &headers, &batch([event(id)])).status
}

#[test]
fn new_keys_are_accepted_after_a_hangup_and_an_invalid_file_is_reported() {
    let [(first, first_entry), (second, second_entry)] = ["first", "second"].map(new_key);
    let file = TemporaryFile::new(&first_entry);
    // With --show, all output except events goes to stderr.
    let mut program = Program::start_with(&["--show", "--keys", file.text()], |command| {
        command.stdout(Stdio::null()).stderr(Stdio::piped())
    });
    assert!(program.greeting.contains("API_KEY=<a key of --keys>\n"), "{}", program.greeting);
    assert_eq!([post(&program, &first, 1), post(&program, &second, 2)], [200, 403]);
    assert!(program.line().starts_with("batch   1     1 event      1 accepted"));
    assert!(program.line().starts_with("refused 403 POST /v1/events/batch: expected a valid API"));

    file.write(&format!("{first_entry}{second_entry}"));
    program.signal("-HUP");
    assert_eq!(program.line(), "the files of keys and certificates were read again");
    assert_eq!([post(&program, &first, 3), post(&program, &second, 4)], [200, 200]);
    (0..2).for_each(|_| drop(program.line()));

    file.write(&format!("{second_entry}rate = \"{first}\"\n"));
    program.signal("-HUP");
    let error = program.line();
    assert!(error.starts_with("error: a file was not read again"), "{error}");
    let fault = program.line();
    assert!(fault.starts_with(&format!("{}:5: rate: expected ", file.text())), "{fault}");
    assert_eq!([post(&program, &first, 5), post(&program, &second, 6)], [200, 200]);
    let (status, rest) = program.end("-TERM");
    assert!(status.success() && !rest.contains(&first), "{rest}");
}

#[test]
fn invalid_file_of_keys_is_an_error_at_the_start() {
    let (key, entry) = new_key("ci");
    let file = TemporaryFile::new(&format!("{entry}rate = 0\nkey = \"{key}\"\n"));
    let error = errors(&["--port=0", "--keys", file.text()], 1);
    let lines: Vec<_> = error.lines().collect();
    let path = file.text();
    assert!(lines[0].starts_with(&format!("error: {path}:5: rate: ")), "{error}");
    assert!(lines[1].starts_with(&format!("{path}:6: unknown field")), "{error}");
    assert!(lines.len() == 2 && !error.contains(&key), "{error}");
    let error = errors(&["--new-key", &key], 1);
    assert!(error.starts_with("error: --new-key: expected ") && !error.contains(&key), "{error}");
}

#[test]
fn hangup_without_files_ends_the_program() {
    let program = Program::start(&[]);
    let (status, _) = program.end("-HUP");
    assert!(!status.success());
}

#[test]
fn program_behind_a_proxy_limits_the_addresses_of_its_header() {
    let (key, entry) = new_key("ci");
    let file = TemporaryFile::new(&entry);
    let args = ["--keys", file.text(), "--behind-proxy", "--rate=1"];
    let program = Program::start(&args);
    assert!(program.greeting.contains("SERVER_URL=<the URL of the proxy>\n"));
    assert_eq!([post(&program, &key, 1), post(&program, &key, 2)], [200, 429]);
    let mut client = Client::to(program.addr);
    let mut status = |address: &str| {
        client.request_with("GET /health", &[("x-forwarded-for", address)], b"").status
    };
    assert!((0..999).any(|_| status("192.0.2.1") == 429));
    // One of several, since two addresses may share a limit.
    assert!(["198.51.100.1", "198.51.100.2", "198.51.100.3"].map(status).contains(&200));
}
