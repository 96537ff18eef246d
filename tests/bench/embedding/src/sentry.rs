//! sentry, with the transport of its features.

use sentry::protocol::Event;

fn main() {
    // Stops when it is dropped.
    let _client = sentry::init("http://key@127.0.0.1:9/1");
    let mut event = Event { message: Some("task".into()), ..Event::default() };
    event.extra.insert("model".into(), "hello".into());
    println!("{}", sentry::capture_event(event));
}
