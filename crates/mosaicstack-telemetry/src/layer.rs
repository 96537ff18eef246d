//! A layer of `tracing-subscriber` that reports tasks from the spans of model requests.

mod fields;
mod requests;
#[cfg(test)]
mod tests;

use std::{fmt, iter, thread, time::Instant};

use telemetry_model::{EventBuilder, Outcome, Provider, Usage, model_vendor};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use self::{fields::Fields, requests::Requests};
use crate::{handle::TelemetryHandle, panics};

/// Reports the tasks of a program that traces its requests to models.
///
/// Add it to the program's subscriber. It reads the spans that follow OpenTelemetry's
/// [GenAI conventions](https://github.com/open-telemetry/semantic-conventions-genai), as rig creates them: GenAI spans,
/// which have fields `gen_ai.…`.
///
/// ```
/// use mosaicstack_telemetry::{Harness, TelemetryClient, TelemetryConfig, TelemetryLayer};
/// use tracing_subscriber::{filter::LevelFilter, prelude::*};
///
/// # use mosaicstack_telemetry::transport::{Request, Response, TransportError};
/// # let accept = |_: Request| Ok::<_, TransportError>(Response::default());
/// # let config = TelemetryConfig::disabled();
/// # let client = TelemetryClient::with_transport(config, accept);
/// // let client = TelemetryClient::start(config);
/// let layer = TelemetryLayer::new(client.handle())
///     .with_event(|event, _task| event.harness(Harness::ApiDirect))
///     .with_filter(LevelFilter::INFO);
/// let subscriber = tracing_subscriber::registry().with(layer); // .with(fmt::layer()) …
///
/// # tracing::subscriber::with_default(subscriber, || {
/// // subscriber.init();
/// let task = tracing::info_span!("fix_issue").entered();
/// for tokens in [1_200, 1_500] {
///     // rig and other crates create such spans.
///     tracing::info_span!(
///         "chat",
///         gen_ai.operation.name = "chat",
///         gen_ai.request.model = "gpt-5.2",
///         gen_ai.usage.input_tokens = tokens,
///         gen_ai.usage.output_tokens = 300,
///     );
/// }
/// drop(task); // reports 2,700 input tokens and 600 output tokens
/// # });
/// assert_eq!(client.stats().tracked, 1);
/// ```
///
/// # Tasks
///
/// **The outermost span around GenAI spans is the task**, or the GenAI span itself if no span is around it. The
/// task is reported when its span closes, which is after all spans within it. Nothing is reported for a
/// span without a request to a model in it, such as one that only runs tools.
///
/// So a span around the whole program or around a server is one task, with all requests, reported at the end:
/// [`with_task_spans`](Self::with_task_spans) names the spans of tasks instead. Work spawned on another thread or
/// as a task of tokio belongs to the current span only if the program says so (`Instrument::in_current_span`).
///
/// | field of the event | value |
/// |---|---|
/// | tokens | sum of the requests; 0 if one of them has an answer without usage. An agent's span repeats the usage of its requests: that of a span counts only if the spans within it lack it |
/// | model, provider | those of the request with the most tokens, of several the last; the model of the response, or else of the request; the provider, or else the model's vendor |
/// | outcome | failure if the span has `error.type` or the `otel.status_code` `ERROR`, if a panic closes it, if its function has `#[instrument(err)]` and returned an error, or if its last request failed; otherwise success. With the `otel.status_code` `OK`, the last request does not count |
/// | retries | number of failed requests that another one followed |
/// | duration | from creation to closing of the span |
/// | others | those of [`with_event`](Self::with_event), or the defaults; the cost is 0 without a price |
///
/// A request failed if its span says so in one of these ways, or if the span declares fields for the response or its
/// usage and closes without any of them, as rig's do on errors and all do if their future is dropped.
///
/// # Data that is read
///
/// Operation, models, provider, token counts and `otel.status_code`. The layer never looks at other values, such as
/// messages, instructions and arguments of tools, or the text of errors. Text is cut at
/// [`MAX_TEXT_CHARS`](crate::model::MAX_TEXT_CHARS) characters.
///
/// As in the conventions, input tokens include those read from and written to a cache, and output tokens include
/// reasoning. A total that is smaller than these parts is taken as a count without them.
///
/// # Limits
///
/// - The layer sees the spans that the subscriber enables. A filter of the whole subscriber, such as an `EnvFilter`
///   for the log, also hides spans from the layer: set it on the layer that writes the log (`with_filter`).
/// - A layer without a filter enables all spans and log records of the program, which costs time: set
///   `LevelFilter::INFO` on this one, as above. The GenAI spans of rig have
///   that level.
/// - A span that may be a task costs an allocation and a read of the clock, other spans a look at their names and
///   fields. Memory is bounded by the number of open spans.
/// - The layer does not panic. A panic of a closure, or of a value while it is formatted, is caught and counted in
///   [`Stats::panics`](crate::Stats::panics).
/// - Tasks that end after the client are counted as dropped.
pub struct TelemetryLayer {
    handle: TelemetryHandle,
    is_task: Box<dyn Fn(&Metadata<'_>) -> bool + Send + Sync>,
    complete: Box<Complete>,
}

type Complete = dyn Fn(EventBuilder, &TracedTask<'_>) -> EventBuilder + Send + Sync;

/// A task that a [`TelemetryLayer`] is about to report.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TracedTask<'a> {
    /// Name, target and fields of the task's span.
    pub span: &'static Metadata<'static>,
    /// Model of the event.
    pub model: &'a str,
    /// Tokens of the event; 0 if unknown.
    pub usage: Usage,
}

impl TelemetryLayer {
    /// Creates a layer that reports to the client of `handle`.
    #[must_use]
    pub fn new(handle: TelemetryHandle) -> Self {
        Self { handle, is_task: Box::new(|_| true), complete: Box::new(|event, _| event) }
    }

    /// Restricts tasks to the spans for which `is_task` returns `true`; of several within each other, to the
    /// outermost. Requests outside of them are not reported.
    ///
    /// Called for each span of the program, and for the spans around it.
    ///
    /// ```
    /// use mosaicstack_telemetry::{TelemetryHandle, TelemetryLayer};
    ///
    /// fn layer(handle: TelemetryHandle) -> TelemetryLayer {
    ///     // Or only certain spans: `span.name() == "fix_issue"`.
    ///     TelemetryLayer::new(handle).with_task_spans(|span| span.name() != "main")
    /// }
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with_task_spans(
        mut self,
        is_task: impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.is_task = Box::new(is_task);
        self
    }

    /// Sets a closure that completes each event, for example with the kind of work, the harness or the cost. It
    /// is called last and may replace what the layer has set.
    ///
    /// It runs on the thread that closes the span and must not block. If it panics, the event is reported without it.
    ///
    /// ```
    /// use mosaicstack_telemetry::{Harness, Price, TaskType, TelemetryHandle, TelemetryLayer};
    ///
    /// fn layer(handle: TelemetryHandle) -> TelemetryLayer {
    ///     let price = Price::usd_per_million(3.0, 15.0).cache_read(0.3).cache_write(3.75);
    ///     TelemetryLayer::new(handle).with_event(move |event, task| {
    ///         let kind = match task.span.name() {
    ///             "review" => TaskType::CodeReview,
    ///             _ => TaskType::Implementation,
    ///         };
    ///         event.task_type(kind).harness(Harness::ApiDirect).price(price)
    ///     })
    /// }
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with_event(
        mut self,
        complete: impl Fn(EventBuilder, &TracedTask<'_>) -> EventBuilder + Send + Sync + 'static,
    ) -> Self {
        self.complete = Box::new(complete);
        self
    }

    /// Returns `true` for the outermost of the spans that may be tasks: it is one if it contains requests.
    fn may_be_task<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) -> bool {
        (self.is_task)(span.metadata()) && !around(span).any(|it| (self.is_task)(it.metadata()))
    }

    fn report(&self, task: &'static Metadata<'static>, requests: &Requests, began: Instant) {
        let duration = (self.handle.clock)().saturating_duration_since(began);
        let failed = requests.last_failed || thread::panicking();
        let usage = requests.usage();
        let model = requests.model.as_ref();
        let name = model.map_or("unknown", |it| it.name.as_str());
        let provider = model.and_then(|it| it.provider.as_deref()).map(Provider::from);
        let event = self
            .handle
            .event()
            .model(name)
            .provider(provider.or_else(|| model_vendor(name)).unwrap_or_default())
            .outcome(if failed { Outcome::Failure } else { Outcome::Success })
            .duration(duration)
            .retry_count(requests.retries)
            .add_usage(&usage);
        let task = TracedTask { span: task, model: name, usage };
        let completed = self.catch(|| (self.complete)(event.clone(), &task));
        self.handle.track(completed.unwrap_or(event).build());
    }

    /// Calls `run`; its panic is counted. Foreign code within it must not run with a span's extensions
    /// locked: the panic would poison the lock, for the other layers as well.
    fn catch<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        panics::catch(run).inspect_err(|_| self.handle.buffer.count_panic()).ok()
    }
}

impl fmt::Debug for TelemetryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryLayer").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The spans around `span`, from the inside out. Unlike its `scope`, this does not look up the span again.
fn around<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> impl Iterator<Item = SpanRef<'a, S>> {
    iter::successors(span.parent(), SpanRef::parent)
}

/// State of an open span, in its extensions: of each that may be a task, and of GenAI spans.
#[derive(Debug)]
struct OpenSpan {
    /// Creation of a span that may be a task.
    began: Option<Instant>,
    fields: Fields,
    /// Of the spans within it that have closed.
    requests: Requests,
}

// The registry keeps a span open until all within it have closed. So a task is found from its spans, when they
// close, and nothing has to be kept elsewhere.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TelemetryLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.catch(|| {
            let Some(span) = context.span(id) else { return };
            let began = self.may_be_task(&span).then(self.handle.clock);
            if began.is_none() && !fields::is_gen_ai(span.metadata()) {
                return;
            }
            let mut fields = Fields::new(span.metadata());
            self.catch(|| attributes.record(&mut fields));
            let open = OpenSpan { began, fields, requests: Requests::default() };
            span.extensions_mut().replace(open);
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.catch(|| {
            let mut fields = Fields::default();
            self.catch(|| values.record(&mut fields));
            if fields.is_empty() {
                return;
            }
            let Some(span) = context.span(id) else { return };
            if let Some(open) = span.extensions_mut().get_mut::<OpenSpan>() {
                open.fields.update(fields);
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !fields::is_returned_error(event.metadata()) {
            return;
        }
        self.catch(|| {
            let Some(span) = context.event_span(event) else { return };
            if let Some(open) = span.extensions_mut().get_mut::<OpenSpan>() {
                open.fields.set_error();
            }
        });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.catch(|| {
            let Some(span) = context.span(&id) else { return };
            let Some(open) = span.extensions_mut().remove::<OpenSpan>() else { return };
            let requests = open.requests.close(open.fields);
            if !requests.exist() {
                return;
            }
            if let Some(began) = open.began {
                return self.report(span.metadata(), &requests, began);
            }
            for outer in around(&span) {
                if let Some(outer) = outer.extensions_mut().get_mut::<OpenSpan>() {
                    return outer.requests.add(requests);
                }
            }
        });
    }
}
