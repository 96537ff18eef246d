//! The URL of a database.

use std::{env, fmt, str::FromStr};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// A URL that has been checked. Displays it without its password and parameters.
pub(super) struct Url {
    pub(super) config: Config,
    name: String,
}

impl Url {
    pub(super) fn has_scheme(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// True if connections are encrypted, and refused if the server cannot.
    pub(super) fn requires_tls(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }
}

impl FromStr for Url {
    type Err = String;

    /// Parses a URL. Without a password in it, the environment variable `PGPASSWORD` is used. The error never
    /// repeats a part of the URL, since it may be one of the password.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = |detail: &str| {
            format!(
                "the URL of the store: {detail}; expected for example \
                 postgres://user:password@host/database?sslmode=require, with special characters in the \
                 form %40"
            )
        };
        if !Self::has_scheme(text) {
            return Err(expected("it does not begin with postgres://"));
        }
        let mut config: Config =
            text.parse().map_err(|_| expected("a part is malformed, or a parameter unknown"))?;
        let hosts: Vec<_> = config.get_hosts().iter().map(host_name).collect();
        if hosts.is_empty() {
            return Err(expected("it has no host"));
        }
        let database = config.get_dbname().unwrap_or_default();
        if hosts.iter().any(|host| host.contains('@')) || database.contains('@') {
            return Err(expected("it has a second @"));
        }
        let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
        let ports = config.get_ports();
        let ports =
            (0..).map(|index| ports.get(index).or_else(|| ports.first()).copied().unwrap_or(5432));
        let hosts = hosts.iter().zip(ports).map(|(host, port)| match port {
            5432 => host.clone(),
            port => format!("{host}:{port}"),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let name = format!("postgres://{user}{hosts}/{database}");
        if config.get_password().is_none()
            && let Some(password) = env::var_os("PGPASSWORD")
        {
            config.password(password.as_encoded_bytes());
        }
        if config.get_application_name().is_none() {
            config.application_name("telemetry-collector");
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            // The default. Encryption that an attacker on the way can turn off protects nothing.
            config.ssl_mode(SslMode::Disable);
        }
        Ok(Self { config, name })
    }
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string().replace('/', "%2F"),
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
