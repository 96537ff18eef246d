//! The layer with a client on tokio, in the subscriber that gets the client's own log.

use mosaicstack_telemetry::{Harness, TelemetryLayer};
use tokio::task;
use tracing::{Instrument, field::Empty, info_span};
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    client::current_thread,
    support::{async_client, collector},
};

/// A request whose answer arrives later.
async fn request() {
    let span = info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "claude-sonnet-4-5-20250929",
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
    );
    task::yield_now().instrument(span.clone()).await;
    span.record("gen_ai.usage.input_tokens", 1_000);
    span.record("gen_ai.usage.cache_read.input_tokens", 900);
    task::yield_now().instrument(span.clone()).await;
    span.record("gen_ai.usage.output_tokens", 50);
}

#[test]
fn tasks_on_tokio_are_reported_once_each() {
    const TASKS: usize = 20;
    let (runtime, collector) = (current_thread(), collector());
    let client = runtime.block_on(async { async_client(&collector) });
    let layer = TelemetryLayer::new(client.handle())
        .with_event(|event, task| event.harness(Harness::from(task.span.name())));
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let stats = runtime.block_on(async {
        let work = || async {
            request().await;
            let helper = tokio::spawn(request().in_current_span());
            helper.await.expect("the helper ends");
        };
        let tasks = [(); TASKS].map(|()| tokio::spawn(work().instrument(info_span!("fix_issue"))));
        for task in tasks {
            task.await.expect("the task ends");
        }
        client.stop().await
    });
    assert_eq!((stats.delivered, stats.panics), (TASKS as u64, 0));
    assert_eq!(stats.tracked, stats.delivered);
    for event in collector.events() {
        assert_eq!((event.actual_input_tokens, event.actual_output_tokens), (2_000, 100));
        assert_eq!(
            (event.model.as_str(), event.provider.as_str()),
            ("claude-sonnet-4-5-20250929", "anthropic")
        );
        assert_eq!((event.harness.as_str(), event.outcome.as_str()), ("fix_issue", "success"));
    }
}
