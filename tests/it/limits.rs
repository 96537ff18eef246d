//! The limit of requests that a collector has for each key.

use std::{fs, process, thread};

use telemetry_collector::Collector;
use telemetry_tests::track;

use crate::{
    client::{Client, Kind},
    support::{AMPLE, eager, ids},
};

/// The SHA-256 hash of `telemetry_tests::KEY`.
const SHA256: &str = "aca5bbe76f5a54866eec1569f62cc4172ee31468d1ed701fb44238a2731f02f0";

#[test]
fn client_above_the_limit_of_its_key_waits_and_delivers_every_event() {
    let file = std::env::temp_dir().join(format!("telemetry-limits-{}.toml", process::id()));
    // Five requests at once, and another one every two seconds.
    let entry = format!("[[key]]\nname = \"client\"\nsha256 = \"{SHA256}\"\nrate = 30\n");
    fs::write(&file, entry).unwrap();
    let delivers = |kind| {
        let collector = Collector::builder().keys(&file).start().unwrap();
        let config = eager(collector.url()).batch_size(1).build().unwrap();
        let client = Client::start(kind, config);
        let tracked = track(&client.handle(), 6);
        client.flush(AMPLE).unwrap();
        assert_eq!(ids(&collector), tracked);
        let stats = client.stop();
        assert_eq!((stats.delivered, stats.rejected, stats.pending), (6, 0, 0));
        // The pause that is asked for is kept, so the next request is accepted. There is no refusal only if the
        // requests took two seconds.
        let refused = collector.totals().refused;
        assert!(refused <= 1 && stats.requests == 6 + refused, "{stats:?}");
    };
    thread::scope(|scope| {
        for kind in Kind::ALL {
            scope.spawn(move || delivers(kind));
        }
    });
    fs::remove_file(&file).unwrap();
}
