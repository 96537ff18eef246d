//! A TCP port in front of the server's socket, which can fail.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    thread,
};

use parking_lot::{Condvar, Mutex};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Forward,
    /// Connections are accepted, and nothing is forwarded.
    Hang,
    /// Connections are closed.
    Refuse,
    /// The connection of a commit is closed, and the commit forwarded.
    LoseCommit,
}

#[derive(Default)]
struct State {
    mode: Mode,
    clients: Vec<TcpStream>,
}

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) addr: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Proxy {
    pub(super) fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let addr = listener.local_addr().expect("it is bound");
        let proxy = Self { addr, state: Arc::default() };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.accept(client, &socket);
            }
        });
        proxy
    }

    /// Changes the mode. Refusing closes what is open.
    pub(super) fn set(&self, mode: Mode) {
        let mut state = self.state.0.lock();
        state.mode = mode;
        if mode == Mode::Refuse {
            for client in state.clients.drain(..) {
                // An error if it is closed.
                let _ = client.shutdown(Shutdown::Both);
            }
        }
        self.state.1.notify_all();
    }

    fn accept(&self, client: TcpStream, socket: &PathBuf) {
        let mut state = self.state.0.lock();
        if state.mode == Mode::Refuse {
            return;
        }
        let copy = |stream: &TcpStream| stream.try_clone().expect("there are descriptors");
        state.clients.push(copy(&client));
        let server = UnixStream::connect(socket).expect("the server listens");
        let (proxy, from, mut to) =
            (self.clone(), copy(&client), server.try_clone().expect("there are descriptors"));
        let closed = copy(&client);
        thread::spawn(move || {
            proxy.forward(from, |bytes, mode| {
                let is_lost =
                    mode == Mode::LoseCommit && bytes.windows(6).any(|it| it == b"COMMIT");
                if is_lost {
                    // Before the server can answer.
                    let _ = closed.shutdown(Shutdown::Both);
                }
                to.write_all(bytes).is_ok() && !is_lost
            });
        });
        let (proxy, mut to) = (self.clone(), client);
        thread::spawn(move || {
            proxy.forward(server, |bytes, _| to.write_all(bytes).is_ok());
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    /// Passes bytes on until one side closes.
    fn forward(&self, mut from: impl Read, mut to: impl FnMut(&[u8], Mode) -> bool) {
        let mut buffer = [0; 8_192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let mut state = self.state.0.lock();
            while state.mode == Mode::Hang {
                self.state.1.wait(&mut state);
            }
            let mode = state.mode;
            drop(state);
            if !to(&buffer[..read], mode) {
                return;
            }
        }
    }
}
