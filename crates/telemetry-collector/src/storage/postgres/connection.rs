//! Connections, their thread, and time-outs.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_postgres::{Client, NoTls, Row, Socket, Statement, tls::MakeTlsConnect, types::ToSql};

use super::{error::Error, url::Url};

/// Bounds of the time that callers wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// Until a connection can be used.
    pub(super) connect: Duration,
    /// Until a statement has its result, also if it waits for a lock.
    pub(super) statement: Duration,
    /// The time after a failed connection in which no other is tried, so that batches that wait are refused
    /// together instead of one after the other.
    pub(super) pause: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(10),
            pause: Duration::from_secs(1),
        }
    }
}

/// The statements that a connection keeps prepared.
const MAX_STATEMENTS: usize = 64;

/// The settings of each connection. The server ends statements that are no longer waited for, and transactions
/// whose collector has gone. A commit is durable, unless the administrator wants even more.
const SETTINGS: &str = "\
    SET statement_timeout = 10000; \
    SET idle_in_transaction_session_timeout = 20000; \
    SET default_transaction_isolation = 'read committed'; \
    SET jit = off; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// Connects to one database.
pub(super) struct Connector {
    url: Url,
    #[cfg(feature = "tls")]
    tls: Option<super::tls::Tls>,
    runtime: Runtime,
    pub(super) timeouts: Timeouts,
    /// The last failure, and the end of the pause after it.
    failure: Mutex<Option<(Instant, String)>>,
}

/// A thread that moves the bytes of all connections.
///
/// Those who wait for them may be on threads of another runtime, where no runtime can be entered: see
/// [`block_on`].
struct Runtime {
    handle: Handle,
    /// Dropped to end the thread.
    _running: oneshot::Sender<()>,
}

impl Runtime {
    fn start() -> Result<Self, Error> {
        let failed = |error| Error::Refused(format!("cannot start its thread: {error}"));
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (running, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("telemetry-postgres".into());
        thread.spawn(move || runtime.block_on(stopped)).map_err(failed)?;
        Ok(Self { handle, _running: running })
    }
}

impl Connector {
    pub(super) fn new(url: Url) -> Result<Self, Error> {
        #[cfg(not(feature = "tls"))]
        if url.requires_tls() {
            return Err(Error::Refused(
                "sslmode=require needs a program that is built with the feature `tls`".into(),
            ));
        }
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: url.requires_tls().then(super::tls::Tls::new).transpose()?,
            url,
            runtime: Runtime::start()?,
            timeouts: Timeouts::default(),
            failure: Mutex::default(),
        })
    }

    /// Trusts these authorities instead of the system's.
    #[cfg(all(test, feature = "tls"))]
    pub(super) fn trust(&mut self, roots: rustls::RootCertStore) {
        self.tls = Some(super::tls::Tls::with_roots(roots).expect("the provider has all versions"));
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Opens a connection. Fails at once for a moment after it has failed.
    pub(super) fn connect(&self) -> Result<Connection, Error> {
        let _context = self.runtime.handle.enter();
        let mut failure = self.failure.lock();
        if let Some((until, message)) = &*failure
            && Instant::now() < *until
        {
            return Err(Error::Refused(message.clone()));
        }
        let client = self.client();
        *failure = client
            .as_ref()
            .err()
            .map(|error| (Instant::now() + self.timeouts.pause, error.to_string()));
        drop(failure);
        let mut connection = Connection {
            client: client?,
            handle: self.runtime.handle.clone(),
            timeout: self.timeouts.statement,
            statements: HashMap::new(),
        };
        connection.batch(SETTINGS)?;
        Ok(connection)
    }

    fn client(&self) -> Result<Client, Error> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return self.client_with(tls.clone());
        }
        self.client_with(NoTls)
    }

    fn client_with<T>(&self, tls: T) -> Result<Client, Error>
    where
        T: MakeTlsConnect<Socket, TlsConnect: Send, Stream: Send> + Send + 'static,
        <T::TlsConnect as tokio_postgres::tls::TlsConnect<Socket>>::Future: Send,
    {
        let (sender, receiver) = mpsc::channel();
        let (config, limit) = (self.url.config.clone(), self.timeouts.connect);
        self.runtime.handle.spawn(async move {
            let result = match timeout(limit, config.connect(tls)).await {
                Ok(Ok((client, connection))) => {
                    // Its errors are those of the statements that wait.
                    tokio::spawn(async { drop(connection.await) });
                    Ok(client)
                }
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(Error::TimedOut(limit)),
            };
            // The receiver waits.
            let _ = sender.send(result);
        });
        let panicked = || Err(Error::Refused("its thread has ended".into()));
        receiver.recv().unwrap_or_else(|_| panicked())
    }
}

/// A connection. Closed when it is dropped, and so a transaction that is open is rolled back.
pub(super) struct Connection {
    client: Client,
    handle: Handle,
    pub(super) timeout: Duration,
    statements: HashMap<String, Statement>,
}

pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

impl Connection {
    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Runs statements without values or results.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        wait(&self.handle, self.timeout, self.client.batch_execute(sql))
    }

    /// Runs `run` in a transaction. The caller drops the connection if that fails.
    pub(super) fn transaction<T>(
        &mut self,
        begin: &str,
        run: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.batch(begin)?;
        let result = run(self)?;
        self.batch("COMMIT")?;
        Ok(result)
    }

    pub(super) fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql)?;
        wait(&self.handle, self.timeout, self.client.query(&statement, params))
    }

    pub(super) fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        let statement = self.prepare(sql)?;
        wait(&self.handle, self.timeout, self.client.execute(&statement, params))
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = wait(&self.handle, self.timeout, self.client.prepare(sql))?;
        if self.statements.len() >= MAX_STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }
}

/// Blocks until a statement has its result, at most for `limit`.
fn wait<T>(
    handle: &Handle,
    limit: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    // For the timer.
    let _context = handle.enter();
    match block_on(timeout(limit, statement)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::TimedOut(limit)),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until a future is ready. Unlike that of a runtime, it may be called on a thread of any other.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
