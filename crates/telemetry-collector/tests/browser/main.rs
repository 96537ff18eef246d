//! The page in a headless Chromium, driven by WebDriver. Only among the long tests, and where `chromedriver` is
//! installed.
//!
//! Screenshots go to the folder in `TELEMETRY_SCREENSHOTS`, if it is set.

mod browser;
mod data;

use std::{env, fs, path::PathBuf};

use serde_json::{Value, json};
use telemetry_collector::Collector;

use crate::browser::Browser;

const LATE: &str = "a-model-that-came-late";

/// A collector and a browser, unless this machine or this run has none.
fn start() -> Option<(Collector, Browser)> {
    env::var_os("TELEMETRY_LONG_TESTS")?;
    match Browser::start() {
        Ok(browser) => Some((Collector::start().expect("loopback can be bound"), browser)),
        Err(missing) => {
            eprintln!("skipped: needs chromium and chromedriver: {missing}");
            None
        }
    }
}

#[test]
fn events_arrive_live_and_leave_the_reader_in_place() {
    let Some((collector, mut browser)) = start() else { return };
    browser.open(&format!("{}/", collector.url()));
    browser.wait("document.getElementById('live-state').textContent === 'Live'");
    assert_eq!(browser.run("return document.querySelector('h2').textContent"), "No events yet");
    data::report(&collector, &data::tasks(300));
    browser.wait("document.querySelector('.figure')?.textContent === '300'");

    // A reader opens an event, with the focus in it, a table, and chooses a filter that is not yet applied.
    let place = "const one = document.querySelectorAll('.events details')[2];
                 const summary = one.querySelector('summary');
                 return { top: Math.round(summary.getBoundingClientRect().top), state: [one.id, one.open, document.activeElement === summary,
                         document.getElementById('time-details').open,
                         document.getElementById('filter-harness').value] }";
    browser.run(
        "document.getElementById('time-details').open = true;
         document.getElementById('filter-harness').value = 'aider';
         const one = document.querySelectorAll('.events details')[2];
         one.open = true;
         one.scrollIntoView({ block: 'center', behavior: 'instant' });
         one.querySelector('summary').focus({ preventScroll: true })",
    );
    let before = browser.run(place);
    assert_eq!(before["state"], json!([before["state"][0], true, true, true, "aider"]));
    data::report(&collector, &data::named(LATE, 3));
    browser.wait(&format!("document.body.textContent.includes('{LATE}')"));
    let after = browser.run(&place.replace("[2]", "[5]"));
    assert_eq!(after["state"], before["state"]);
    let moved = after["top"].as_i64().unwrap() - before["top"].as_i64().unwrap();
    assert!(moved.abs() <= 2, "the event has moved by {moved} pixels");

    // The choices of a filter are updated as well.
    let choices = "[...document.getElementById('filter-model').options].map((it) => it.value)";
    assert!(browser.run(&format!("return {choices}.includes('{LATE}')")).as_bool().unwrap());

    // A paused page keeps what it shows until it is continued.
    browser.click("#live-pause");
    browser.wait("document.getElementById('live-state').textContent === 'Paused'");
    data::report(&collector, &data::named("a-model-while-paused", 1));
    assert_eq!(browser.run("return document.querySelector('.figure').textContent"), "303");
    browser.click("#live-pause");
    browser.wait("document.querySelector('.figure').textContent === '304'");

    // A page finds the collector again, and what has changed meanwhile, whether it is another one.
    let port = collector.addr().port();
    drop(collector);
    browser.wait("document.getElementById('live-state').textContent === 'Reconnecting'");
    let again = Collector::builder().port(port).start().expect("the port is free");
    data::report(&again, &data::tasks(7));
    browser.wait("document.querySelector('.figure')?.textContent === '7'");
    browser.finish_without(&["net::ERR_"], again.url());
}

#[test]
fn filters_are_set_by_form_and_by_links() {
    let Some((collector, mut browser)) = start() else { return };
    data::report(&collector, &data::tasks(300));
    let url = collector.url();
    browser.open(&format!("{url}/"));
    browser.run("document.getElementById('filter-model').value = 'gpt-5.2-codex'");
    browser.click(".filters button");
    browser.wait("location.search.includes('model=gpt-5.2-codex')");
    let models = "[...document.querySelectorAll('#breakdown tbody')].map((it) => it.querySelectorAll('th[scope=row]').length)";
    assert_eq!(browser.run(&format!("return {models}[0]")), 1);
    browser.click("#breakdown tbody:nth-of-type(2) tr:nth-child(2) a");
    browser.wait("location.search.includes('harness=') && location.search.includes('model=')");
    assert_eq!(
        browser.run("return document.getElementById('filter-model').value"),
        "gpt-5.2-codex"
    );
    browser.click(".chip");
    browser.wait("location.search === '?model=gpt-5.2-codex'");
    // A hostile name is a name.
    browser.open(&format!("{url}/?model=%3Cscript%3Ealert(1)%3C%2Fscript%3E"));
    assert_eq!(browser.run("return document.querySelector('.figure').textContent"), "1");
    browser.finish(url);
}

#[test]
fn tables_and_filters_work_without_javascript() {
    let Some((collector, mut browser)) = start() else { return };
    data::report(&collector, &data::tasks(300));
    let url = collector.url();
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(&format!("{url}/"));
    assert_eq!(browser.run("return document.getElementById('live').hidden"), true);
    let rows =
        browser.run("return [...document.querySelectorAll('table')].map((it) => it.rows.length)");
    assert!(rows.as_array().unwrap().iter().all(|rows| rows.as_u64() >= Some(2)), "{rows}");
    assert_eq!(rows.as_array().unwrap().len(), 6);
    browser.run("document.getElementById('filter-complexity').value = 'high'");
    browser.click(".filters button");
    browser.wait("location.search.includes('complexity=high')");
    browser.click(".events summary");
    browser.wait("document.querySelector('.events details').open");
    browser.finish(url);
}

#[test]
fn page_is_usable_by_keyboard_and_well_formed() {
    let Some((collector, mut browser)) = start() else { return };
    data::report(&collector, &data::tasks(300));
    let url = collector.url();
    browser.open(&format!("{url}/"));
    browser.press('\u{e004}');
    let focus = "const it = document.activeElement, style = getComputedStyle(it);
                 return [it.className || it.id || it.name, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                         it.getBoundingClientRect().width > 20]";
    assert_eq!(browser.run(focus), json!(["skip", true, true]));
    browser.press('\u{e007}');
    browser.wait("document.activeElement.id === 'content'");
    for id in ["filter-model", "filter-harness", "filter-task_type"] {
        browser.press('\u{e004}');
        assert_eq!(browser.run(focus), json!([id, true, true]));
    }
    // An event opens with the key.
    browser.run("document.querySelector('.events summary').focus()");
    browser.press('\u{e007}');
    browser.wait("document.querySelector('.events details').open");

    let faults = browser.run(
        "const faults = [];
         const all = (selector) => [...document.querySelectorAll(selector)];
         const ids = all('[id]').map((it) => it.id);
         if (new Set(ids).size !== ids.length) faults.push('an id is repeated');
         for (const it of all('[aria-labelledby]'))
           if (!document.getElementById(it.getAttribute('aria-labelledby'))) faults.push('no label ' + it.id);
         for (const it of all('table')) if (!it.caption) faults.push('no caption');
         for (const it of all('th')) if (!it.scope) faults.push('no scope: ' + it.textContent);
         for (const it of all('svg')) if (!it.getAttribute('aria-label') && it.getAttribute('aria-hidden') !== 'true')
           faults.push('a chart has no label');
         for (const it of all('select, input')) if (!it.closest('label')) faults.push('no label: ' + it.name);
         for (const it of all('nav a')) if (!document.querySelector(it.hash)) faults.push('no ' + it.hash);
         return faults",
    );
    assert_eq!(faults, json!([]));
    // At the width of a phone, only tables scroll to the side.
    browser.resize(360, 800);
    browser.open(&format!("{url}/"));
    assert_eq!(browser.run("return document.documentElement.scrollWidth"), 360);
    browser.finish(url);
}

#[test]
fn every_view_is_shown_in_light_and_dark() {
    let Some((collector, mut browser)) = start() else { return };
    let url = collector.url();
    let views: [(&str, &[&str]); 5] = [
        ("empty", &["body > header", "main"]),
        ("overview", &["body > header", "#time"]),
        ("breakdown", &["#breakdown", "#estimates"]),
        ("predictions", &["#gates", "#predictions"]),
        ("events", &["#events", "#rejections"]),
    ];
    for (view, selectors) in views {
        if view == "overview" {
            data::report(&collector, &data::tasks(1_500));
            data::report_invalid(&collector);
        }
        let mut backgrounds = Vec::new();
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            browser.resize(1_280, 900);
            browser.open(&format!("{url}/"));
            browser.wait("document.getElementById('live-state').textContent === 'Live'");
            browser.run("document.querySelectorAll('.events li:nth-child(n + 9)').forEach((it) => it.remove())");
            browser.run(
                "const it = document.querySelector('.events details'); if (it) it.open = true",
            );
            backgrounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
            let image = browser.screenshot(selectors);
            assert!(image.starts_with(b"\x89PNG"));
            if let Some(folder) = env::var_os("TELEMETRY_SCREENSHOTS") {
                let file = PathBuf::from(folder).join(format!("page-{view}-{scheme}.png"));
                fs::write(file, image).expect("the folder can be written");
            }
        }
        assert_ne!(backgrounds[0], backgrounds[1], "{view}");
        assert!(backgrounds.iter().all(Value::is_string));
    }
    browser.finish(url);
}
