//! Encrypted connections. The server has a socket only, so a proxy decrypts them.

use std::{io, path::PathBuf, rc::Rc, sync::mpsc, thread};

use rustls::RootCertStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    runtime, task,
};

use super::{Postgres, TestDatabase};
use crate::{
    Certificate,
    storage::{Database, Retention, postgres::connection::Connector, tests::event},
    tls::{Identity, Tls},
};

/// The certificate of the authority.
fn ca_der(tls: &Tls) -> Vec<u8> {
    tls.ca.as_ref().map(|ca| ca.der.clone()).unwrap_or_default()
}

/// Serves connections until the process ends. Returns the port, and the certificate of the authority.
fn serve(certificate: Certificate, socket: PathBuf) -> (u16, Vec<u8>) {
    let (started, starting) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(task::LocalSet::new().run_until(async move {
            let tls = Rc::new(Tls::new(Identity::Generated(certificate))?);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let port = listener.local_addr()?.port();
            started.send((port, ca_der(&tls))).map_err(io::Error::other)?;
            loop {
                let (client, _) = listener.accept().await?;
                task::spawn_local(decrypt(client, Rc::clone(&tls), socket.clone()));
            }
        }))
    });
    starting.recv().expect("the proxy starts")
}

async fn decrypt(mut client: TcpStream, tls: Rc<Tls>, socket: PathBuf) -> io::Result<()> {
    // The client asks in 8 bytes whether there is TLS.
    client.read_exact(&mut [0; 8]).await?;
    client.write_all(b"S").await?;
    let mut client = tls.accept(client).await?;
    let mut server = UnixStream::connect(socket).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[test]
fn connections_are_encrypted_if_the_url_asks_for_it_and_the_certificate_is_verified() {
    for (certificate, is_trusted, expected) in [
        (Certificate::Valid, true, None),
        (Certificate::Valid, false, Some("no connection: invalid peer certificate")),
        (Certificate::SelfSigned, true, Some("no connection: invalid peer certificate")),
        (
            Certificate::Expired,
            true,
            Some("no connection: invalid peer certificate: certificate expired"),
        ),
        (Certificate::WrongHost, true, Some("not valid for name \"localhost\"")),
    ] {
        let Some(database) = TestDatabase::new() else { return };
        let (port, authority) = serve(certificate, database.socket());
        let url = format!("postgres://collector:secret@localhost:{port}/{}", database.name);
        let connector = || {
            let mut connector =
                Connector::new(format!("{url}?sslmode=require").parse().unwrap()).unwrap();
            let mut roots = RootCertStore::empty();
            let other = ca_der(&Tls::new(Identity::Generated(Certificate::Valid)).unwrap());
            roots.add(if is_trusted { authority.clone() } else { other }.into()).unwrap();
            connector.trust(roots);
            connector
        };
        match (Postgres::connect(connector(), Retention::default()), expected) {
            (Ok(store), None) => assert_eq!(store.insert(&[event(1)], &[], 0).unwrap(), [true]),
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert!(!error.to_string().contains("secret"), "{error}");
            }
            (result, _) => panic!("{certificate:?}: {result:?}"),
        }
    }
}

#[test]
fn server_without_tls_is_refused_if_the_url_asks_for_it() {
    let Some(database) = TestDatabase::new() else { return };
    let proxy = super::proxy::Proxy::start(database.socket());
    let url = format!("postgres://collector@localhost:{}/d?sslmode=require", proxy.addr.port());
    let error = Postgres::open(&url, Retention::default()).unwrap_err().to_string();
    assert!(error.contains("server does not support TLS"), "{error}");
}
