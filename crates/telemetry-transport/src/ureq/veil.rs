//! Keeps the key out of the log of the libraries below.
//!
//! At level TRACE, ureq-proto logs every byte of a request as it writes it. What it is given to write
//! is asterisks; the key takes their place between there and the socket.

use std::{cell::RefCell, mem::ManuallyDrop, ops::Range};

use http::{HeaderValue, header::AUTHORIZATION};
use ureq::{
    Error,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport},
};

use crate::Request;

thread_local! {
    /// The key of the request that this thread sends, until it is on its way. ureq sends on the
    /// thread that calls it. Never dropped, so that it is there while the thread's other values are;
    /// whoever fills it empties it.
    static KEY: ManuallyDrop<RefCell<Option<HeaderValue>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

fn replace(key: Option<HeaderValue>) -> Option<HeaderValue> {
    KEY.with(|place| place.replace(key))
}

/// Holds a request's key back, while it exists and until it is on its way.
pub(super) struct Veil {
    /// The key of the request in whose middle this one is sent, by a logger of ureq's say.
    outer: Option<HeaderValue>,
}

impl Veil {
    pub(super) fn over(request: &mut Request) -> Self {
        let key = request.headers_mut().get_mut(AUTHORIZATION).map(|value| {
            let stars = HeaderValue::try_from("*".repeat(value.len()));
            std::mem::replace(value, stars.unwrap_or_else(|_| HeaderValue::from_static("*")))
        });
        Self { outer: replace(key) }
    }
}

impl Drop for Veil {
    fn drop(&mut self) {
        replace(self.outer.take());
    }
}

/// The last of ureq's connectors: what passes it is encrypted next, or sent.
#[derive(Debug)]
pub(super) struct Unveiling;

impl<In: Transport> Connector<In> for Unveiling {
    type Out = Unveiled<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(Unveiled))
    }
}

#[derive(Debug)]
pub(super) struct Unveiled<T>(T);

impl<T: Transport> Transport for Unveiled<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let place = unveil(&mut self.0.buffers().output()[..amount]);
        let result = self.0.transmit_output(amount, timeout);
        if let Some(place) = place {
            self.0.buffers().output()[place].fill(b'*');
        }
        result
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Puts the key into a head that is about to be sent, once, and says where.
fn unveil(output: &mut [u8]) -> Option<Range<usize>> {
    KEY.with(|place| {
        let mut key = place.borrow_mut();
        let length = key.as_ref()?.len();
        let line = format!("{AUTHORIZATION}: {}\r\n", "*".repeat(length));
        let begins = |at: usize| at == 0 || output[..at].ends_with(b"\r\n");
        // A head that is larger than ureq's buffer comes in pieces of whole lines.
        let mut windows = output.windows(line.len()).enumerate();
        let (at, _) = windows.find(|(at, it)| *it == line.as_bytes() && begins(*at))?;
        let start = at + line.len() - 2 - length;
        output[start..start + length].copy_from_slice(key.take()?.as_bytes());
        Some(start..start + length)
    })
}

#[cfg(test)]
mod tests {
    use std::{panic, sync::mpsc, thread};

    use super::*;

    #[test]
    fn the_key_takes_the_place_of_its_asterisks_once_and_in_a_head_alone() {
        let mut request = Request::default();
        request.headers_mut().insert(AUTHORIZATION, "Bearer key".parse().unwrap());
        let veil = Veil::over(&mut request);
        assert_eq!(request.headers()[AUTHORIZATION], "**********");
        let tunnel = b"CONNECT a:1 HTTP/1.1\r\nproxy-authorization: **********\r\n\r\n";
        assert_eq!(unveil(&mut tunnel.to_vec()), None);
        let mut head = b"POST / HTTP/1.1\r\nauthorization: **********\r\n\r\n".to_vec();
        let place = unveil(&mut head).unwrap();
        assert_eq!(&head[place], b"Bearer key");
        assert!(head.ends_with(b"\r\nauthorization: Bearer key\r\n\r\n"));
        let mut body = b"\r\nauthorization: **********\r\n".to_vec();
        assert_eq!(unveil(&mut body), None);
        drop(veil);
        assert_eq!(replace(None), None);
    }

    #[test]
    fn a_head_in_two_pieces_has_the_key() {
        let mut request = Request::default();
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer key"));
        let _veil = Veil::over(&mut request);
        assert_eq!(unveil(&mut b"POST / HTTP/1.1\r\nhost: a\r\n".to_vec()), None);
        let mut rest = b"authorization: **********\r\n\r\n".to_vec();
        assert!(unveil(&mut rest).is_some());
        assert_eq!(rest, b"authorization: Bearer key\r\n\r\n");
    }

    #[test]
    fn a_request_in_the_middle_of_another_has_its_own_key_or_none() {
        let with_key = |key: &'static str| {
            let mut request = Request::default();
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(key));
            request
        };
        let sent = |key: &str| {
            let stars = "*".repeat(key.len());
            let mut head =
                format!("POST / HTTP/1.1\r\nauthorization: {stars}\r\n\r\n").into_bytes();
            unveil(&mut head).map(|place| head[place] == *key.as_bytes())
        };
        let outer = Veil::over(&mut with_key("Bearer one"));
        {
            let _public = Veil::over(&mut Request::default());
            assert_eq!(sent("Bearer one"), None);
        }
        {
            let _inner = Veil::over(&mut with_key("Bearer two"));
            assert_eq!(sent("Bearer two"), Some(true));
        }
        assert_eq!(sent("Bearer one"), Some(true));
        drop(outer);
        assert_eq!(replace(None), None);
    }

    #[test]
    fn a_request_that_was_never_written_leaves_no_key_behind() {
        let mut request = Request::default();
        request.headers_mut().insert(AUTHORIZATION, "Bearer key".parse().unwrap());
        drop(Veil::over(&mut request));
        assert_eq!(replace(None), None);
    }

    #[test]
    fn a_request_can_be_sent_while_the_values_of_its_thread_are_dropped() {
        struct Late(mpsc::Sender<bool>);
        impl Drop for Late {
            fn drop(&mut self) {
                let send = || drop(Veil::over(&mut Request::default()));
                let _ = self.0.send(panic::catch_unwind(send).is_ok());
            }
        }
        thread_local! {
            static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
        }
        let (sender, sent) = mpsc::channel();
        let thread = thread::spawn(move || {
            // First in, last out.
            LATE.set(Some(Late(sender)));
            drop(Veil::over(&mut Request::default()));
        });
        thread.join().unwrap();
        assert_eq!(sent.recv(), Ok(true));
    }
}
