//! A request in flight at an asynchronous transport.

use std::task::{Context, Poll};

use telemetry_transport::{AsyncTransport, Request, Response, ResponseFuture, TransportError};

use super::runtime::Runtime;
use crate::{event_buffer::EventBuffer, panics};

/// The future of a transport. Its panics are failed attempts.
pub(crate) struct Attempt<'a> {
    /// `None` if the transport panicked when it was called.
    response: Option<ResponseFuture<'a>>,
    runtime: &'a Runtime,
    buffer: &'a EventBuffer,
}

impl<'a> Attempt<'a> {
    pub(crate) fn start(
        transport: &'a dyn AsyncTransport,
        request: Request,
        runtime: &'a Runtime,
        buffer: &'a EventBuffer,
    ) -> Self {
        let _entered = runtime.enter();
        let response = panics::catch(|| transport.send(request)).ok();
        Self { response, runtime, buffer }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, TransportError>> {
        let _entered = self.runtime.enter();
        let response = &mut self.response;
        let poll = response.as_mut().map(|response| panics::catch(|| response.as_mut().poll(cx)));
        match poll {
            Some(Ok(poll)) => poll,
            Some(Err(_)) | None => Poll::Ready(Err(self.buffer.transport_panicked())),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let response = self.response.take();
        if panics::catch(|| drop(response)).is_err() {
            // There is no attempt left to fail.
            drop(self.buffer.transport_panicked());
        }
    }
}
