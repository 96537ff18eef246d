//! A program with TLS connections that are not the SDK's, made with crates that leave the crypto provider to
//! rustls. rustls panics there if another crate adds a second provider.
//!
//! Without arguments it runs each host in a child process, since rustls installs a default provider for the
//! process, and fails if one fails. `tls-hosts HOST PORT` runs one. Run by `cargo xtask verify tls-hosts`.

use std::{
    env,
    error::Error,
    fs,
    path::PathBuf,
    process::{self, Command, ExitCode},
    sync::Arc,
    thread,
};

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mosaicstack_telemetry::{
    http,
    transport::{AsyncTransport, HyperTransport, Request, Transport, UreqTransport},
};
use rcgen::CertifiedKey;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

type Outcome = Result<(), Box<dyn Error>>;

const HOSTS: [&str; 3] = ["rustls", "hyper-rustls", "tokio-tungstenite"];

/// Read by rustls-native-certs.
const ROOTS: &str = "SSL_CERT_FILE";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if cfg!(feature = "ring") {
        // Documented for programs whose build contains both providers.
        aws_lc_rs::default_provider().install_default().expect("no other is installed");
    }
    let args: Vec<String> = env::args().skip(1).collect();
    if let [host, port] = &args[..] {
        run(host, &format!("localhost:{port}"))?;
        return Ok(ExitCode::SUCCESS);
    }

    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".into()])?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())?;
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind("localhost:0"))?;
    let port = listener.local_addr()?.port().to_string();
    thread::spawn(move || runtime.block_on(serve(listener, config)));

    let roots = env::temp_dir().join(format!("tls-hosts-{}.pem", process::id()));
    fs::write(&roots, cert.pem())?;
    let mut code = ExitCode::SUCCESS;
    for host in HOSTS {
        let mut child = Command::new(env::current_exe()?);
        let status = child.args([host, &port]).env(ROOTS, &roots).status()?;
        println!("{host}: {status}");
        if !status.success() {
            code = ExitCode::FAILURE;
        }
    }
    fs::remove_file(roots)?;
    Ok(code)
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Connects with both transports of the SDK, and then with the host's client.
fn run(host: &str, address: &str) -> Outcome {
    let roots = fs::read(env::var_os(ROOTS).map(PathBuf::from).ok_or("no root certificates")?)?;
    let request = || -> Result<Request, http::Error> {
        http::Request::post(format!("https://{address}/v1/events/batch")).body("{}".into())
    };
    let response = UreqTransport::new().with_root_certificates(&roots)?.send(request()?)?;
    assert!(response.status().is_success());
    runtime()?.block_on(async {
        let response =
            HyperTransport::new().with_root_certificates(&roots)?.send(request()?).await?;
        assert!(response.status().is_success());

        let is_installed = CryptoProvider::get_default().is_some();
        assert_eq!(is_installed, cfg!(feature = "ring"), "the SDK installs no provider");
        match host {
            "rustls" => with_rustls(address, &roots).await,
            "hyper-rustls" => with_hyper_rustls(address).await,
            "tokio-tungstenite" => with_tokio_tungstenite(address).await,
            _ => Err("no such host".into()),
        }
    })
}

async fn with_rustls(address: &str, roots: &[u8]) -> Outcome {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(roots)?)?;
    let config = ClientConfig::builder().with_root_certificates(store).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into()?, stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    assert_eq!(&status, b"HTTP/1.1 200");
    Ok(())
}

async fn with_hyper_rustls(address: &str) -> Outcome {
    let connector =
        HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build::<_, String>(connector);
    let response = client.get(format!("https://{address}/").parse()?).await?;
    assert!(response.status().is_success());
    Ok(())
}

async fn with_tokio_tungstenite(address: &str) -> Outcome {
    let (_, response) = tokio_tungstenite::connect_async(format!("wss://{address}/")).await?;
    assert_eq!(response.status(), 101);
    Ok(())
}

/// Accepts every request, with an upgrade to a WebSocket if the request asks for one.
async fn serve(listener: TcpListener, config: ServerConfig) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            let mut head = Vec::new();
            while !head.windows(4).any(|it| it == b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            stream.write_all(answer(&String::from_utf8_lossy(&head)).as_bytes()).await?;
            stream.read_to_end(&mut Vec::new()).await
        });
    }
}

fn answer(head: &str) -> String {
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| derive_accept_key(value.as_bytes()))
    };
    match head.lines().find_map(header) {
        Some(key) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {key}\r\n\r\n"
        ),
        None => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into(),
    }
}
