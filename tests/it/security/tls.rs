//! Certificates: a server with an invalid one gets no byte, and the reason is reported.

use telemetry_tests::KEY;

use super::{
    authority::{Authority, Identity, NOW},
    captured::{capture, records},
    clients::{Transports, Way, live},
    forms::Search,
    servers::{Server, answer},
};
use crate::{blocking::eager, guide::said_alone};

const HOST: &str = "127.0.0.1";

/// A server, the certificates that its client trusts, and the reason for which the client refuses.
type Case = (Identity, Transports, Option<&'static str>);

fn cases() -> Vec<Case> {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let us = || Transports::trusting(ours.pem().as_bytes());
    let both = Transports::trusting(format!("{}{}", ours.pem(), others.pem()).as_bytes());
    let alone = Identity::self_signed(HOST, NOW);
    let itself = Transports::trusting(&alone.der);
    let late = Identity::self_signed(HOST, (2000, 2001));
    let lately = Transports::trusting(&late.der);
    let expired = Some("certificate expired");
    let other_name = Some("certificate not valid for name");
    let unknown = Some("UnknownIssuer");
    vec![
        (ours.identity(HOST, NOW), us(), None),
        (ours.identity(HOST, NOW), Transports::trusting(ours.der()), None),
        (others.identity(HOST, NOW), both, None),
        (alone, itself, None),
        (ours.identity(HOST, (2000, 2001)), us(), expired),
        (late, lately, expired),
        (ours.identity(HOST, (3000, 4000)), us(), Some("certificate not valid yet")),
        (ours.identity("telemetry.invalid", NOW), us(), other_name),
        (ours.identity("127.0.0.2", NOW), us(), other_name),
        (others.identity(HOST, NOW), us(), unknown),
        (Authority::new("ours").identity(HOST, NOW), us(), Some("BadSignature")),
        (Authority::as_a_server(HOST), us(), Some("CaUsedAsEndEntity")),
        (ours.identity(HOST, NOW), Transports::new(), unknown),
        (Identity::self_signed(HOST, NOW), Transports::new(), unknown),
    ]
}

#[test]
fn servers_with_invalid_certificates_get_no_byte_and_the_reason_is_reported() {
    let name = "::servers_with_invalid_certificates_get_no_byte_and_the_reason_is_reported";
    if said_alone(&[module_path!(), name].concat(), &[]).is_some() {
        return;
    }
    capture();
    let mut search = Search::new();
    for &way in Way::some() {
        for (index, (identity, trusted, refusal)) in cases().into_iter().enumerate() {
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
                assert_eq!(life.stats.delivered, 3, "{place}: {}", life.notices);
                assert!(received[0].contains(&format!("\r\nauthorization: Bearer {KEY}\r\n")));
                continue;
            };
            assert_eq!(received, [""; 0], "{place}");
            assert_eq!((life.stats.delivered, life.stats.pending), (0, 3), "{place}");
            let is_named = life.notices.contains("Misconfigured") && life.notices.contains(reason);
            assert!(is_named, "{place}: {}", life.notices);
            let is_warned = logged.iter().any(|it| {
                it.target == "mosaicstack_telemetry"
                    && it.text.contains("WARN")
                    && it.text.contains(reason)
            });
            assert!(is_warned, "{place}: {logged:?}");
        }
    }
}
