//! The collector as a program.

mod args;
mod fault_spec;
mod show;
mod signals;
#[cfg(feature = "_database")]
mod units;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use args::Args;
use show::Show;
use signals::{Signal, Signals};
use telemetry_collector::{Collector, CollectorBuilder};

fn main() -> ExitCode {
    let args = match Args::parse_from(std::env::args_os()) {
        Ok(args) => args,
        Err(error) if !error.use_stderr() => {
            print(&error);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            print_error(args::redact(&error.to_string()).trim_end());
            return ExitCode::from(2);
        }
    };
    #[cfg(feature = "keys")]
    if let Some(name) = &args.new_key {
        return new_key(name);
    }
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal arrives. The error is a complete message.
fn serve(args: &Args) -> Result<(), String> {
    let output = Output { shows_events: args.show.is_some() };
    let builder = Collector::builder().port(args.port);
    #[cfg(any(feature = "keys", feature = "tls"))]
    let builder = configure(builder, args);
    let mut builder = builder
        .on_batch(move |batch| output.print(batch))
        .on_predictions(move |predictions| output.print(predictions))
        .on_fault(move |fault| output.print(fault))
        .on_refusal(move |refusal| {
            // An injected one is printed as a fault.
            if !refusal.is_injected {
                output.print(refusal);
            }
        });
    if let Some(show) = args.show {
        builder = builder.on_event(move |event| print(&show.line(event)));
    }
    if let Some(key) = &args.api_key {
        builder = builder.api_key(key);
    }
    if let Some(id) = args.instance_id {
        builder = builder.instance_id(id);
    }
    #[cfg(feature = "_database")]
    {
        builder = store(builder, args)
            .on_storage_error(|error| print_error(format!("error: maintenance: {error}")));
    }
    #[cfg(feature = "tls")]
    if let Some(kind) = args.tls {
        builder = builder.on_failed_handshake(move |it| output.print(it)).tls(kind.into());
    }

    let signals = |error| format!("failed to install the signal handlers: {error}");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(signals)?;
    runtime.block_on(async {
        // Before the first line, since its reader may send a signal at once.
        let mut signals =
            Signals::catch(args.has_keys() || args.has_certificate()).map_err(signals)?;
        let recorder = start_recorder(args, output)?;
        let url = recorder.as_ref().map_or("", Collector::url);
        let rules = args.faults.iter().map(|fault| fault.to_rule(url));
        if args.show == Some(Show::Table) {
            // Before the first event, which may arrive as soon as the server listens.
            print(show::HEADING);
        }
        let collector = rules.fold(builder, CollectorBuilder::fault).start();
        let collector = collector.map_err(|error| start_error(args, &error))?;
        #[cfg(feature = "tls")]
        if let (Some(file), Some(pem)) = (&args.ca, collector.ca_pem()) {
            std::fs::write(file, pem)
                .map_err(|error| format!("failed to write --ca {file:?}: {error}"))?;
        }
        output.print(&greeting(&collector, args));
        #[cfg(feature = "_database")]
        if let Some(store) = &args.store {
            let held = collector.totals().held;
            match args::database_url(store) {
                // Without the URL, which may have a password.
                Some(_) => output.print(&format_args!("store: PostgreSQL, {held} events")),
                None => output.print(&format_args!("store: {}, {held} events", store.display())),
            }
        }
        for (number, json) in (1..).zip(&args.fault_json) {
            output.print(&format_args!("fault {number}: {json}"));
        }
        if let Some(recorder) = &recorder {
            output.print(&format_args!("recorder: {}", recorder.url()));
        }
        while signals.next().await != Signal::Stop {
            match collector.reload() {
                Ok(()) => output.print("the files of keys and certificates were read again"),
                Err(error) => print_error(format!(
                    "error: a file was not read again; what was read before stays in use:\n{error}"
                )),
            }
        }
        output.print(&collector.stop());
        if let Some(recorder) = recorder {
            output.print(&format_args!("recorder: {} requests", recorder.stop().requests));
        }
        Ok(())
    })
}

/// Starts the collector that records what follows a redirect, if a fault needs it.
fn start_recorder(args: &Args, output: Output) -> Result<Option<Collector>, String> {
    if !args.faults.iter().any(fault_spec::FaultSpec::needs_recorder) {
        return Ok(None);
    }
    let builder = Collector::builder();
    let builder = builder.on_request(move |it| output.print(&format_args!("recorder: {it}")));
    builder.start().map(Some).map_err(|error| format!("failed to start the recorder: {error}"))
}

/// Applies the options of the store.
#[cfg(feature = "_database")]
fn store(mut builder: CollectorBuilder, args: &Args) -> CollectorBuilder {
    // A kind of store that is not supported is an error of the command line.
    #[cfg(feature = "postgres")]
    if let Some(url) = args.store.as_deref().and_then(args::database_url) {
        builder = builder.postgres(url);
    }
    #[cfg(feature = "sqlite")]
    if let Some(file) = args.store.as_ref().filter(|it| args::database_url(it).is_none()) {
        builder = builder.store(file);
    }
    if let Some(time) = args.keep {
        builder = builder.keep(time);
    }
    if let Some(bytes) = args.max_size {
        builder = builder.max_size(bytes);
    }
    builder
}

/// Applies the options of keys, addresses and certificates.
#[cfg(any(feature = "keys", feature = "tls"))]
fn configure(mut builder: CollectorBuilder, args: &Args) -> CollectorBuilder {
    #[cfg(feature = "keys")]
    {
        builder = builder.listen(args.address());
        if let Some(file) = &args.keys {
            builder = builder.keys(file);
        }
        if let Some(rate) = args.rate {
            builder = builder.rate(rate);
        }
        if args.behind_proxy {
            builder = builder.behind_proxy();
        }
    }
    #[cfg(feature = "tls")]
    if let (Some(certificates), Some(key)) = (&args.cert, &args.cert_key) {
        builder = builder.certificate_files(certificates, key);
    }
    builder
}

/// Prints a new key to stderr, and its entry to stdout, so that it can be appended to a file.
#[cfg(feature = "keys")]
fn new_key(name: &str) -> ExitCode {
    match telemetry_collector::NewKey::generate(name) {
        Ok(new) => {
            print_error(format!("the API key {name}, shown this once:\n\n  {}\n", new.key()));
            print(new.entry());
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(format!("error: --new-key: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start_error(args: &Args, error: &io::Error) -> String {
    let (port, address) = (args.port, args.address());
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} of {address} is in use: choose another with --port N, or a free one with \
             --port 0"
        ),
        // A message of the collector, not of the system.
        _ if error.get_ref().is_some() => error.to_string(),
        _ => format!("failed to listen on port {port} of {address}: {error}"),
    }
}

#[cfg(feature = "tls")]
impl From<args::Tls> for telemetry_collector::Certificate {
    fn from(kind: args::Tls) -> Self {
        match kind {
            args::Tls::Valid => Self::Valid,
            args::Tls::SelfSigned => Self::SelfSigned,
            args::Tls::Expired => Self::Expired,
            args::Tls::WrongHost => Self::WrongHost,
        }
    }
}

fn greeting(collector: &Collector, args: &Args) -> String {
    let url = collector.url();
    let client_url = client_url(collector, args);
    let key = match &args.api_key {
        Some(_) => "<the value of --api-key>".into(),
        None if args.has_keys() => "<a key of --keys>".into(),
        None => "0123456789abcdef".repeat(4),
    };
    let id = match args.instance_id {
        Some(id) => id.to_string(),
        None => "12345678-1234-1234-1234-123456789abc".into(),
    };
    let accepted = match (&args.api_key, args.instance_id) {
        _ if args.has_keys() => "Only the keys of --keys are accepted, each for its instances.",
        (None, None) => "Any API key of 64 hexadecimal characters and any instance are accepted.",
        (None, Some(_)) => "Any API key of 64 hexadecimal characters is accepted.",
        (Some(_), None) => "Any instance is accepted.",
        (Some(_), Some(_)) => "No other API key and no other instance is accepted.",
    };
    format!(
        "listening on {url} (stop with Ctrl-C); for a client:\n\n  \
         export MOSAIC_TELEMETRY_SERVER_URL={client_url}\n  \
         export MOSAIC_TELEMETRY_API_KEY={key}\n  \
         export MOSAIC_TELEMETRY_INSTANCE_ID={id}\n\n\
         {accepted}\n{page}",
        page = page(&client_url)
    )
}

/// The line about the page; empty without the feature.
fn page(url: &str) -> String {
    if cfg!(feature = "page") {
        format!("A browser shows the events at {url}/\n")
    } else {
        String::new()
    }
}

/// The URL for a client, as far as the program knows it.
#[cfg_attr(
    not(any(feature = "keys", feature = "tls")),
    expect(unused_variables, reason = "the options depend on features")
)]
fn client_url(collector: &Collector, args: &Args) -> String {
    #[cfg(feature = "keys")]
    if args.behind_proxy {
        return "<the URL of the proxy>".into();
    }
    #[cfg(feature = "tls")]
    if args.has_certificate() {
        return format!("https://<a name in the certificate>:{}", collector.addr().port());
    }
    collector.url().into()
}

/// Destination of all output except events: stdout, or stderr if stdout is for the events.
#[derive(Clone, Copy)]
struct Output {
    shows_events: bool,
}

impl Output {
    fn print<T: Display + ?Sized>(self, text: &T) {
        if self.shows_events { print_error(text) } else { print(text) }
    }
}

/// Prints to stdout. Ignores errors: the program keeps serving when its output is closed.
fn print<T: Display + ?Sized>(text: &T) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn print_error(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
