//! `telemetry-collector`: the collector as a program.

mod arguments;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use arguments::Arguments;
use telemetry_collector::{Collector, CollectorBuilder, FaultRule};

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(faults) => {
            for fault in faults {
                complain(fault);
            }
            complain("see telemetry-collector --help");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        say(arguments::HELP);
        return ExitCode::SUCCESS;
    }
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal ends it; the error is the whole message.
fn serve(arguments: &Arguments) -> Result<(), String> {
    let Arguments { port, api_key, instance_id, .. } = arguments;
    let builder = Collector::builder().port(*port);
    let builder = builder.on_batch(say).on_predictions(say).on_fault(say);
    // One that was asked for is told as a fault.
    let mut builder = builder.on_refusal(|refusal| {
        if !refusal.is_injected {
            say(refusal);
        }
    });
    builder = with_tls(builder, arguments)?;
    if let Some(key) = api_key {
        builder = builder.api_key(key);
    }
    if let Some(id) = instance_id {
        builder = builder.instance_id(*id);
    }

    let signals = |error| format!("cannot wait for signals: {error}");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(signals)?;
    runtime.block_on(async {
        // Before the first line: whoever reads it may send a signal.
        let ended = ended().map_err(signals)?;
        let (faults, recorder) = faults(arguments)?;
        let builder = faults.iter().cloned().fold(builder, CollectorBuilder::fault);
        let collector = builder.start().map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} of 127.0.0.1 is in use: choose another with --port N, or let --port 0 \
                 find a free one"
            ),
            _ => format!("cannot listen on port {port} of 127.0.0.1: {error}"),
        })?;
        write_authority(&collector, arguments)?;
        say(&greeting(&collector, arguments));
        faults.iter().for_each(|fault| say(&format_args!("fault: {fault}")));
        ended.await;
        say(&collector.stop());
        if let Some(recorder) = recorder {
            say(&format_args!("recorder: {} requests", recorder.stop().requests));
        }
        Ok(())
    })
}

/// The faults that were asked for, and the collector that some of them lead to.
fn faults(arguments: &Arguments) -> Result<(Vec<FaultRule>, Option<Collector>), String> {
    let parsed = |recorder: &str| {
        let faults = arguments.faults.iter().map(|spec| arguments::parse_fault(spec, recorder));
        faults.collect::<Result<Vec<_>, _>>().map_err(|faults| faults.join("\n"))
    };
    let mut faults = parsed(arguments::NO_RECORDER)?;
    let mut recorder = None;
    if faults.iter().any(|fault| fault.is_to_recorder) {
        let builder = Collector::builder();
        let builder = builder.on_request(|request| say(&format_args!("recorder: {request}")));
        let started = builder.start();
        let started = started.map_err(|error| format!("cannot start the recorder: {error}"))?;
        faults = parsed(started.url())?;
        recorder = Some(started);
    }
    Ok((faults.into_iter().map(|parsed| parsed.fault).collect(), recorder))
}

#[cfg(feature = "tls")]
fn with_tls(builder: CollectorBuilder, arguments: &Arguments) -> Result<CollectorBuilder, String> {
    use arguments::Tls;
    use telemetry_collector::Certificate;

    Ok(match arguments.tls {
        None => builder,
        Some(kind) => builder.on_failed_handshake(say).tls(match kind {
            Tls::Valid => Certificate::Valid,
            Tls::SelfSigned => Certificate::SelfSigned,
            Tls::Expired => Certificate::Expired,
            Tls::WrongHost => Certificate::WrongHost,
        }),
    })
}

#[cfg(not(feature = "tls"))]
fn with_tls(builder: CollectorBuilder, arguments: &Arguments) -> Result<CollectorBuilder, String> {
    match arguments.tls {
        None => Ok(builder),
        Some(_) => Err("--tls: this program was built without the feature `tls`".into()),
    }
}

#[cfg(feature = "tls")]
fn write_authority(collector: &Collector, arguments: &Arguments) -> Result<(), String> {
    let (Some(file), Some(pem)) = (&arguments.ca, collector.ca_pem()) else { return Ok(()) };
    std::fs::write(file, pem).map_err(|error| format!("--ca: cannot write {file:?}: {error}"))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature `tls`, writing can fail")]
fn write_authority(_: &Collector, _: &Arguments) -> Result<(), String> {
    Ok(())
}

fn greeting(collector: &Collector, arguments: &Arguments) -> String {
    let url = collector.url();
    let key = match arguments.api_key {
        Some(_) => "<the one given by --api-key>".into(),
        None => "0123456789abcdef".repeat(4),
    };
    let id = match arguments.instance_id {
        Some(id) => id.to_string(),
        None => "12345678-1234-1234-1234-123456789abc".into(),
    };
    let taken = match (&arguments.api_key, arguments.instance_id) {
        (None, None) => "Any key of 64 hexadecimal characters will do, and any instance.",
        (None, Some(_)) => "Any key of 64 hexadecimal characters will do.",
        (Some(_), None) => "Any instance will do.",
        (Some(_), Some(_)) => "No other key and no other instance will do.",
    };
    format!(
        "listening on {url} (Ctrl-C ends it); for a client:\n\n  \
         export MOSAIC_TELEMETRY_SERVER_URL={url}\n  \
         export MOSAIC_TELEMETRY_API_KEY={key}\n  \
         export MOSAIC_TELEMETRY_INSTANCE_ID={id}\n\n\
         {taken}\n"
    )
}

/// Resolves on Ctrl-C and SIGTERM, from now on.
#[cfg(unix)]
fn ended() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    Ok(std::future::poll_fn(move |context| {
        let mut ready = false;
        for signal in &mut signals {
            ready |= signal.poll_recv(context).is_ready();
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
fn ended() -> io::Result<impl Future<Output = ()>> {
    Ok(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
}

/// Prints lines. That nobody reads them any more is no reason to end.
fn say<T: Display + ?Sized>(text: &T) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "telemetry-collector: {text}");
}
