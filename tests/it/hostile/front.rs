//! A server that stands before the collector, and says what it likes or passes everything on.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What is said to whoever connects.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    once: Vec<u8>,
    /// Then this, until the client goes; if it is empty, nothing.
    again: Vec<u8>,
    waits: bool,
}

impl Speech {
    /// After something of the request has come.
    pub(crate) fn answer(once: impl Into<Vec<u8>>, again: &str) -> Self {
        // Many at once, since each is a system call.
        Self { once: once.into(), again: again.repeat(1_000).into(), waits: true }
    }

    /// Before that.
    pub(crate) fn at_once(once: impl Into<Vec<u8>>, again: &str) -> Self {
        Self { waits: false, ..Self::answer(once, again) }
    }

    fn hold(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut read = [0; 65_536];
        if self.waits && stream.read(&mut read)? == 0 {
            return Ok(());
        }
        stream.write_all(&self.once)?;
        while !self.again.is_empty() {
            stream.write_all(&self.again)?;
        }
        while stream.read(&mut read)? > 0 {}
        Ok(())
    }
}

/// It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Front {
    url: String,
    address: SocketAddr,
    speaks: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

impl Front {
    /// Passes everything on to `behind`, for now.
    pub(crate) fn start(behind: SocketAddr, speech: Speech) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let [speaks, ends] = [(); 2].map(|()| Arc::<AtomicBool>::default());
        let front = Self {
            url: format!("http://{address}"),
            address,
            speaks: Arc::clone(&speaks),
            ends: Arc::clone(&ends),
        };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Acquire) {
                    return;
                }
                let (speech, speaks) = (speech.clone(), Arc::clone(&speaks));
                thread::spawn(move || {
                    // That the client goes is its right.
                    let _ = match speaks.load(Ordering::Acquire) {
                        true => speech.hold(stream),
                        false => pass(stream, behind, &speaks),
                    };
                });
            }
        });
        front
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether new connections are spoken to. Others end with the next word.
    pub(crate) fn speak(&self, speaks: bool) {
        self.speaks.store(speaks, Ordering::Release);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes on what comes from either side, until one ends or it is spoken.
fn pass(mut client: TcpStream, behind: SocketAddr, speaks: &AtomicBool) -> io::Result<()> {
    let mut server = TcpStream::connect(behind)?;
    let [mut back, mut from] = [client.try_clone()?, server.try_clone()?];
    let returning = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 65_536];
    loop {
        let read = client.read(&mut bytes)?;
        if read == 0 || speaks.load(Ordering::Acquire) {
            break;
        }
        server.write_all(&bytes[..read])?;
    }
    for stream in [client, server] {
        let _ = stream.shutdown(Shutdown::Both);
    }
    let _ = returning.join();
    Ok(())
}
