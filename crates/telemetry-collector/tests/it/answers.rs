//! Scripted answers.

use std::{io, time::Duration};

use telemetry_collector::{Collector, ResponseTemplate};

use crate::client::{Client, EVENTS, TOO_LONG, batch, event, ids, report};

fn post(client: &mut Client, id: u128) -> io::Result<crate::client::Answered> {
    client.send(EVENTS, &[], &batch([event(id)]));
    client.receive()
}

#[test]
fn a_scripted_status_replaces_the_processing_once() {
    let collector = Collector::start().unwrap();
    collector.script([
        ResponseTemplate::status(429).header("Retry-After", "7"),
        ResponseTemplate::status(503).header("content-type", "text/html").body("<html>"),
        ResponseTemplate::status(200),
        ResponseTemplate::status(204),
        ResponseTemplate::status(301).header("location", "/elsewhere"),
    ]);
    let mut client = Client::new(&collector);
    let mut next = || post(&mut client, 1).unwrap();

    let answered = next();
    assert_eq!((answered.status, answered.header("retry-after")), (429, Some("7")));
    assert_eq!(answered.error(), "scripted");
    let answered = next();
    assert_eq!((answered.status, answered.header("content-type")), (503, Some("text/html")));
    assert_eq!(answered.body, b"<html>");
    assert_eq!(next().status, 200);
    assert_eq!(next().status, 204);
    assert_eq!(next().status, 301);
    assert_eq!(ids(&collector), [], "a scripted status takes no event");
    assert_eq!(next().status, 200);
    assert_eq!(ids(&collector), [1], "after the script, all is as usual");
    let totals = collector.totals();
    assert_eq!((totals.requests, totals.refused, totals.batches), (6, 3, 1));
}

#[test]
fn a_script_is_extended_and_holds_for_every_path() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::status(500)]);
    collector.script(vec![ResponseTemplate::status(502)]);
    let mut client = Client::new(&collector);
    assert_eq!(client.ask("GET /nowhere", &[], b"").status, 500);
    assert_eq!(client.ask("POST /v1/predictions/batch", &[], b"").status, 502);
    assert_eq!(client.ask("GET /", &[], b"").status, 200);
}

#[test]
fn the_usual_answer_can_be_changed_and_delayed() {
    let collector = Collector::start().unwrap();
    collector.script([
        ResponseTemplate::normal().body("no JSON").header("x-extra", "1"),
        ResponseTemplate::normal().delay(Duration::from_millis(1)),
        ResponseTemplate::normal().delay(Duration::MAX),
    ]);
    let mut client = Client::new(&collector);
    let answered = post(&mut client, 1).unwrap();
    assert_eq!((answered.status, answered.header("x-extra")), (200, Some("1")));
    assert_eq!(answered.body, b"no JSON");
    assert_eq!(post(&mut client, 2).unwrap().status, 200);
    // The delay is between processing and answer: this one will not come, its event is taken.
    client.send(EVENTS, &[], &batch([event(3)]));
    assert!(collector.wait_for(TOO_LONG, |totals| totals.accepted == 3));
}

#[test]
fn a_close_takes_nothing() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::close()]);
    let error = post(&mut Client::new(&collector), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(ids(&collector), []);
    assert_eq!((collector.totals().requests, collector.totals().refused), (1, 0));
    assert_eq!(report(&collector, [event(1)]).status, 200);
}

#[test]
fn an_ambiguous_close_has_taken_the_events() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::close_after_processing()]);
    let error = post(&mut Client::new(&collector), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(ids(&collector), [1]);
    // The client cannot know, sends again, and is not counted twice.
    assert_eq!(report(&collector, [event(1)]).status, 200);
    assert_eq!((collector.totals().accepted, collector.totals().duplicates), (1, 1));
}

#[test]
fn never_holds_one_connection_and_no_other() {
    let collector = Collector::start().unwrap();
    collector.script([ResponseTemplate::hang()]);
    let mut hanging = Client::new(&collector);
    hanging.send(EVENTS, &[], &batch([event(1)]));
    assert!(collector.wait_for(TOO_LONG, |totals| totals.requests == 1));
    assert_eq!(report(&collector, [event(2)]).status, 200);
    assert_eq!(ids(&collector), [2]);
    collector.stop();
    assert!(hanging.receive().is_err(), "stopping ends it");
}

#[test]
fn connections_are_kept_and_told_apart() {
    let collector = Collector::start().unwrap();
    let (mut one, mut other) = (Client::new(&collector), Client::new(&collector));
    for client in [&mut one, &mut other] {
        assert_eq!(client.ask("GET /", &[], b"").status, 200);
        assert_eq!(client.ask("GET /nowhere", &[], b"").status, 404);
    }
    assert_eq!(one.ask("GET /", &[], b"").status, 200);
    let connections: Vec<_> = collector.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 1, 2, 2, 1]);
}
