//! The configuration, and the commands that show and change it.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use telemetry_collector::Collector;

use crate::home::{Home, INSTANCE, KEY, text};

fn file(home: &Home) -> PathBuf {
    home.path.join(".config/mosaic-telemetry/config.toml")
}

fn write(home: &Home, text: &str) {
    fs::create_dir_all(file(home).parent().expect("a folder")).expect("a folder");
    fs::write(file(home), text).expect("a file");
}

/// Runs with text on standard input.
fn run_with(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    // It may end without reading.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    text(child.wait_with_output().expect("output"))
}

#[test]
fn flags_precede_variables_and_these_the_file() {
    let home = Home::new();
    let key_file = home.path.join("key");
    fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let (file, variable, flag) =
        ("https://file.example", "https://variable.example", "https://flag.example");
    write(&home, &format!("server_url = \"{file}\"\nmax_retries = 5\nenabled = false\n"));
    let flags = format!(
        "--server-url {flag} --api-key-file {} --instance-id {INSTANCE}",
        key_file.display()
    );
    for (flags, is_in_env, expected) in [
        ("", false, [format!("{file} (config.toml)"), "- (not set)".into()]),
        ("", true, [format!("{variable} (MOSAIC_TELEMETRY_SERVER_URL)"), "- (not set)".into()]),
        (&flags, true, [format!("{flag} (--server-url)"), "set (--api-key-file)".into()]),
    ] {
        let mut command = home.command(&format!("config show {flags}"));
        if is_in_env {
            command.env("MOSAIC_TELEMETRY_SERVER_URL", variable);
        }
        let (code, out, err) = text(command.output().unwrap());
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let [url, key] = expected;
        assert!(out.contains(&format!("  server_url   {url}\n")), "{out}");
        assert!(out.contains(&format!("  api_key      {key}\n")), "{out}");
        assert!(out.contains("  enabled      false (config.toml)\n"), "{out}");
        assert!(out.contains("  max_retries  5 (config.toml)\n"), "{out}");
        assert!(out.contains("mosaic-telemetry/spool (default)\n"), "{out}");
        assert!(!out.contains(KEY), "{out}");
    }
}

#[test]
fn text_that_is_not_valid_is_not_shown() {
    // The key in the wrong places.
    let home = Home::new();
    write(&home, &format!("server_url = \"{KEY}\"\ninstance_id = \"{KEY}\"\nproxy = \"{KEY}\"\n"));
    for command in ["config show", "status --offline"] {
        let out = home.run(command);
        assert!(out.contains("server_url   not valid (config.toml)"), "{out}");
        assert!(!out.contains(KEY), "{out}");
    }
}

#[test]
fn what_is_missing_is_listed_without_the_key() {
    let home = Home::new();
    let mut command = home.command("report");
    command.env("MOSAIC_TELEMETRY_API_KEY", "not-a-key-but-secret");
    let (code, out, err) = text(command.output().unwrap());
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let missing = "server_url: not set: use `mosaic-telemetry config set server_url`, \
                   MOSAIC_TELEMETRY_SERVER_URL or --server-url";
    assert!(err.contains(missing) && err.contains("api_key: "), "{err}");
    assert!(!err.contains("secret"), "{err}");
    write(&home, "instance_id = \"7\"\napi_key = secret\n");
    let (code, _, err) = text(home.command("report").output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("config.toml: line 2") && !err.contains("secret"), "{err}");
}

#[test]
fn changes_keep_comments_and_the_key_secret() {
    let home = Home::new();
    write(&home, "# Mine.\nmax_retries = 3 # enough\n");
    for setting in [
        "server_url https://tel.example",
        &format!("instance_id {INSTANCE}"),
        "max_retries 5",
        "submit_interval_seconds 0.5",
        "enabled false",
    ] {
        home.run(&format!("config set {setting}"));
    }
    let (code, out, _) = run_with(home.command("config set api_key"), &format!("{KEY}\n"));
    assert_eq!(code, Some(0));
    assert!(!out.contains(KEY), "{out}");
    home.run("config unset enabled");
    let expected = format!(
        "# Mine.\nmax_retries = 5 # enough\nserver_url = \"https://tel.example\"\n\
         instance_id = \"{INSTANCE}\"\nsubmit_interval_seconds = 0.5\napi_key = \"{KEY}\"\n"
    );
    assert_eq!(fs::read_to_string(file(&home)).unwrap(), expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        assert_eq!(fs::metadata(file(&home)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let entries = fs::read_dir(file(&home).parent().unwrap()).unwrap().count();
    assert_eq!(entries, 1, "no temporary file stays");

    // Refused, with the reason, and without the key.
    let key = format!("config set api_key {KEY}");
    for (arguments, input, fault) in [
        (key.as_str(), "", "standard input"),
        ("config set api_key", "cafecafe", "api_key"),
        ("config set server_url http://tel.example", "", "https"),
        ("config set max_retries many", "", "max_retries"),
        ("config set max_retries 101", "", "max_retries"),
        ("config set colour red", "", "colour"),
    ] {
        let (code, out, err) = run_with(home.command(arguments), input);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments}: {err}");
        assert!(err.contains(fault) && !err.contains(KEY) && !err.contains("cafe"), "{err}");
    }
    assert_eq!(fs::read_to_string(file(&home)).unwrap(), expected);
}

#[test]
fn status_shows_the_server_and_the_last_delivery_and_never_fails() {
    let collector = Collector::start().unwrap();
    let mut home = Home::reporting_to(collector.url());
    let status = home.run("status");
    assert!(status.contains("\nserver: answers"), "{status}");
    assert!(status.contains("\nsent: nothing yet\n"), "{status}");
    assert!(!status.contains("last delivery"), "{status}");
    home.run("report --since 2026-01-01");
    assert!(home.run("status").contains("\nlast delivery: 20"));
    let requests = collector.totals().requests;
    assert!(!home.run("status --offline").contains("\nserver: "));
    assert_eq!(collector.totals().requests, requests);
    // No server, no configuration, and none that can be read.
    home.server = Some("http://127.0.0.1:9".into());
    assert!(home.run("status").contains("\nserver: no predictions: network error"));
    home.server = None;
    assert!(home.run("status").contains("not configured: "));
    write(&home, "server_url = [\n");
    assert!(home.run("status").contains("config.toml: line 1"));
}

#[test]
fn events_are_shown_if_only_the_instance_is_set() {
    let home = Home::new();
    let (code, _, err) = text(home.command("scan --events").output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("--instance-id") && !err.contains("--server-url"), "{err}");
    let events = home.run(&format!("scan --events --instance-id {INSTANCE}"));
    assert_eq!(events.matches(INSTANCE).count(), 2);
}

#[test]
fn hook_passes_flags_to_the_process_in_the_background() {
    let collector = Collector::start().unwrap();
    let home = Home::new();
    let state = home.path.join(".local/state/mosaic-telemetry");
    home.run("hook install claude-code");
    fs::write(state.join("sent"), "1700000000000\n").unwrap();
    let key = home.path.join("key");
    fs::write(&key, KEY).unwrap();
    let flags = format!("--server-url {} --instance-id {INSTANCE}", collector.url());
    home.run(&format!("--api-key-file {} {flags} hook claude-code", key.display()));
    let ample = std::time::Duration::from_secs(30);
    assert!(collector.wait_for(ample, |totals| totals.accepted == 2));
    // It writes to the folder until it ends.
    fs::File::open(state.join("lock")).unwrap().lock().unwrap();
}
