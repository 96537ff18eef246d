//! A WebDriver client for chromedriver.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

/// The time after which a test has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Chromium with a new profile, and its driver. Both end when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// The error names the program that cannot be started.
    pub(crate) fn start() -> Result<Self, String> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver: {error}"))?;
        let output = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let mut browser = Self { driver, port: 0, session: String::new() };
        browser.port = port.ok_or("chromedriver: ended at its start")?;
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--lang=en-GB",
            "--window-size=1280,900",
        ];
        let capabilities = json!({ "alwaysMatch": {
            "browserName": "chrome",
            "timeouts": { "script": TIMEOUT.as_millis() as u64 },
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } });
        let request = json!({ "capabilities": capabilities }).to_string();
        let answer = exchange(browser.port, "POST", "/session", &request);
        match answer["value"]["sessionId"].as_str() {
            Some(session) => browser.session = session.to_owned(),
            None => return Err(format!("chromium: {}", answer["value"]["message"])),
        }
        // A click would miss an element that is still being scrolled to.
        browser.scheme("light");
        Ok(browser)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        let mut answer = exchange(self.port, method, &path, &body.to_string());
        assert!(
            answer["value"]["error"].is_null(),
            "{path} {body}: {}",
            answer["value"]["message"]
        );
        answer["value"].take()
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Runs the body of a function and returns its result.
    pub(crate) fn run(&mut self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&mut self, condition: &str) {
        let script = format!("return Boolean({condition})");
        #[expect(clippy::disallowed_methods, reason = "a bound on a wait")]
        let start = std::time::Instant::now();
        // The driver takes some milliseconds for each.
        while self.run(&script) != true {
            assert!(start.elapsed() < TIMEOUT, "not reached: {condition}");
        }
    }

    pub(crate) fn click(&mut self, selector: &str) {
        let using = json!({ "using": "css selector", "value": selector });
        let element = self.command("POST", "/element", &using);
        let id = element.as_object().and_then(|it| it.values().next()).and_then(Value::as_str);
        let path = format!("/element/{}/click", id.expect("an element"));
        self.command("POST", &path, &json!({}));
    }

    /// Presses and releases a key, by its code in WebDriver.
    pub(crate) fn press(&mut self, key: char) {
        let actions = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("POST", "/actions", &json!({ "actions": [keyboard] }));
    }

    /// Calls a method of the Chrome DevTools Protocol.
    pub(crate) fn cdp(&mut self, method: &str, params: Value) -> Value {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": method, "params": params }))
    }

    /// Prefers this color scheme, and reduced motion.
    pub(crate) fn scheme(&mut self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// A PNG of three quarters of the size, from the top of the first element to the end of the last one.
    pub(crate) fn screenshot(&mut self, selectors: &[&str]) -> Vec<u8> {
        let [first, last] = [selectors.first(), selectors.last()].map(|it| it.expect("a selector"));
        let area = self.run(&format!(
            "scrollTo(0, 0);
             const [a, b] = ['{first}', '{last}'].map((it) => document.querySelector(it).getBoundingClientRect());
             return [Math.max(0, a.top - 16), b.bottom + 16]"
        ));
        let [top, bottom] = [&area[0], &area[1]].map(|it| it.as_f64().expect("a number"));
        let clip =
            json!({ "x": 0, "y": top, "width": 1280, "height": bottom - top, "scale": 0.75 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let image = self.cdp("Page.captureScreenshot", options);
        base64(image["data"].as_str().expect("an image"))
    }

    /// Ends a test: there was no error on the console, and no request to another server than `url`.
    pub(crate) fn finish(self, url: &str) {
        self.finish_without(&[], url);
    }

    /// As [`finish`](Self::finish), except for errors that contain one of these texts.
    pub(crate) fn finish_without(self, expected: &[&str], url: &str) {
        let log = |kind: &str| {
            let log = self.command("POST", "/se/log", &json!({ "type": kind }));
            log.as_array().cloned().unwrap_or_default()
        };
        for entry in log("browser") {
            let message = entry["message"].as_str().unwrap_or_default();
            assert!(expected.iter().any(|it| message.contains(it)), "on the console: {entry}");
        }
        let mut own = 0;
        for entry in log("performance") {
            let message: Value =
                serde_json::from_str(entry["message"].as_str().unwrap_or_default())
                    .expect("an entry is JSON");
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let to = message["params"]["request"]["url"].as_str().expect("a request has a URL");
                let is_own = to.starts_with(&format!("{url}/"));
                assert!(is_own || to.starts_with("data:"), "a request to {to}");
                own += u32::from(is_own);
            }
        }
        assert!(own > 0, "the requests were recorded");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends Chromium, which a killed driver would leave.
            exchange(self.port, "DELETE", &format!("/session/{}", self.session), "");
        }
        // An error means that it has ended.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Sends a request to loopback and returns the JSON of the response.
pub(crate) fn exchange(port: u16, method: &str, path: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(TIMEOUT * 2)).expect("a valid time-out");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("the server reads");
    let mut response = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while response.read_line(&mut line).expect("a response") > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    response.read_exact(&mut body).expect("the body");
    serde_json::from_slice(&body).unwrap_or_default()
}

/// Decodes standard base64.
fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<_> = text.bytes().filter(|it| *it != b'=').map(value).collect();
    let mut bytes = Vec::with_capacity(digits.len());
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0u32, |bits, digit| bits << 6 | u32::from(*digit));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
