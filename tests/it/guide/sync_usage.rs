//! Sync usage (threading).

use crate::{
    blocking::{client, collector},
    wire::guide_event,
};

#[test]
fn example_event_is_delivered_by_stop() {
    let collector = collector();
    let client = client(&collector);
    let event = guide_event();
    client.track(event.clone());
    let stats = client.stop();
    assert_eq!((stats.delivered, stats.pending), (1, 0));
    assert_eq!(collector.events(), [event]);
}

#[test]
fn example_event_is_delivered_at_the_end_of_the_scope() {
    let collector = collector();
    let event = guide_event();
    {
        let client = client(&collector);
        client.track(event.clone());
    }
    assert_eq!(collector.events(), [event]);
}
