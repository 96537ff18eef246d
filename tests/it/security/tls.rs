//! Which certificates are taken. What is refused is named, and gets nothing.

use telemetry_tests::{KEY, evidence};

use super::{
    authority::{Authority, Identity, NOW},
    captured::{capture, records},
    clients::{Transports, Way, live},
    forms::Search,
    servers::{Server, answer},
};
use crate::{blocking::eager, guide::said_alone};

const HOST: &str = "127.0.0.1";

/// A server, whom a client of it trusts, and what the client says if that will not do.
struct Case {
    identity: Identity,
    trusted: Transports,
    refusal: Option<&'static str>,
}

fn cases() -> Vec<Case> {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let impostor = Authority::new("ours");
    let us = || Transports::trusting(ours.pem().as_bytes());
    let case = |identity, trusted, refusal| Case { identity, trusted, refusal };
    let alone = Identity::self_signed(HOST, NOW);
    let itself = Transports::trusting(&alone.der);
    let late = Identity::self_signed(HOST, (2000, 2001));
    let lately = Transports::trusting(&late.der);
    let both = Transports::trusting(format!("{}{}", ours.pem(), others.pem()).as_bytes());
    let expired = Some("certificate expired");
    let other_name = Some("certificate not valid for name");
    let unknown = Some("UnknownIssuer");
    vec![
        case(ours.identity(HOST, NOW), us(), None),
        case(ours.identity(HOST, NOW), Transports::trusting(ours.der()), None),
        case(others.identity(HOST, NOW), both, None),
        case(alone, itself, None),
        case(ours.identity(HOST, (2000, 2001)), us(), expired),
        case(late, lately, expired),
        case(ours.identity(HOST, (3000, 4000)), us(), Some("certificate not valid yet")),
        case(ours.identity("telemetry.invalid", NOW), us(), other_name),
        case(ours.identity("127.0.0.2", NOW), us(), other_name),
        case(others.identity(HOST, NOW), us(), unknown),
        case(Identity::self_signed(HOST, NOW), us(), unknown),
        case(impostor.identity(HOST, NOW), us(), Some("BadSignature")),
        case(Authority::as_a_server(HOST), us(), Some("CaUsedAsEndEntity")),
        // Mozilla's list.
        case(ours.identity(HOST, NOW), Transports::new(), unknown),
        case(Identity::self_signed(HOST, NOW), Transports::new(), unknown),
    ]
}

#[test]
fn only_a_certificate_that_is_right_gets_the_request_and_others_are_named() {
    let test = concat!(
        module_path!(),
        "::only_a_certificate_that_is_right_gets_the_request_and_others_are_named"
    );
    if let Some(said) = said_alone(test, &[]) {
        return evidence::repeat(&said);
    }
    capture();
    let (mut search, mut taken, mut refused) = (Search::new(), 0, 0);
    for &way in Way::some() {
        for (index, Case { identity, trusted, refusal }) in cases().into_iter().enumerate() {
            let place = format!("{way:?}, case {index}");
            let server = Server::start(
                move |stream| identity.accept(stream),
                |_| answer("200 OK", "{\"results\":[null]}"),
            );
            let url = server.url().replace("http:", "https:");
            let life = live(way, eager(&url), &trusted);
            let logged = records();
            for record in logged.iter().filter(|record| !record.is_wire_log()) {
                search.must_not_find(&place, &record.text);
            }
            search.must_not_find(&place, &life.shown);
            let received = server.received();
            let Some(reason) = refusal else {
                taken += 1;
                assert_eq!(life.stats.delivered, 3, "{place}: {}", life.notices);
                assert!(received[0].contains(&format!("\r\nauthorization: Bearer {KEY}\r\n")));
                continue;
            };
            refused += 1;
            assert_eq!(received, [""; 0], "{place}");
            assert_eq!((life.stats.delivered, life.stats.pending), (0, 3), "{place}");
            let is_named = life.notices.contains("Refused") && life.notices.contains(reason);
            assert!(is_named, "{place}: {}", life.notices);
            let is_warned = logged.iter().any(|it| {
                it.target == "mosaicstack_telemetry"
                    && it.text.contains("WARN")
                    && it.text.contains(reason)
            });
            assert!(is_warned, "{place}: {logged:?}");
        }
    }
    evidence::tried(
        "R14",
        format_args!(
            "{taken} servers with a right certificate, {refused} with a wrong one, which were \
             named and got no byte; {} texts searched",
            search.texts
        ),
    );
}
