//! Deserialization of a configuration, for example from a file.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{TelemetryConfig, TelemetryConfigBuilder};

impl TelemetryConfigBuilder {
    /// Reads a parameter. The error does not repeat text, which may be a secret.
    fn read(&mut self, key: &str, value: Value) -> Result<(), String> {
        let config = &mut self.config;
        let retry = &mut config.retry_policy;
        match key {
            "server_url" => self.server_url.set_file(value.text()?),
            "api_key" => self.api_key.set_file(value.text()?),
            "instance_id" => self.instance_id.set_file(value.text()?),
            "enabled" => self.enabled.set_file(value.switch()?),
            #[cfg(any(feature = "hyper", feature = "ureq"))]
            "proxy" => self.proxy.set_file(value.text()?),
            #[cfg(feature = "spool")]
            "spool_dir" => self.spool_dir.set_file(value.text()?),
            "submit_interval_seconds" => config.submit_interval = value.duration()?,
            "request_timeout_seconds" => config.request_timeout = value.duration()?,
            "prediction_cache_ttl_seconds" => config.prediction_cache_ttl = value.duration()?,
            "no_data_cache_ttl_seconds" => config.no_data_cache_ttl = value.duration()?,
            "shutdown_timeout_seconds" => config.shutdown_timeout = value.duration()?,
            "initial_backoff_seconds" => retry.initial_backoff = value.duration()?,
            "max_backoff_seconds" => retry.max_backoff = value.duration()?,
            "max_retry_after_seconds" => retry.max_retry_after = value.duration()?,
            "max_retries" => retry.max_retries = value.count()?,
            "max_queue_size" => config.max_queue_size = value.count()?,
            "batch_size" => config.batch_size = value.count()?,
            "dry_run" => config.dry_run = value.boolean()?,
            "early_flush" => config.early_flush = value.boolean()?,
            "interval_jitter" => config.interval_jitter = value.boolean()?,
            "allow_plain_http" => self.allow_plain_http = value.boolean()?,
            _ => return Err("not a parameter of the telemetry configuration".into()),
        }
        Ok(())
    }
}

/// Reads a map with the parameters of the Python SDK's guide by their names there, and further parameters
/// by the names of their setters, those of the retry policy by the names of its fields, and the folder of a spool as
/// `spool_dir`. Durations are in seconds and end in `_seconds`. All are optional.
///
/// Setters and the environment take precedence over values that were read, and these over
/// [`default_server_url`](Self::default_server_url). Unknown parameters and values of a wrong type are
/// issues of [`build`](Self::build), which reports all issues at once. The format must describe itself,
/// as JSON, TOML and YAML do.
///
/// ```
/// use mosaicstack_telemetry::TelemetryConfigBuilder;
///
/// let file = r#"{
///     "server_url": "https://tel-api.mosaicstack.dev",
///     "instance_id": "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d",
///     "submit_interval_seconds": 60,
///     "shutdown_timeout_seconds": 0.5,
///     "max_retries": 5
/// }"#;
/// let builder: TelemetryConfigBuilder = serde_json::from_str(file)?;
/// let config = builder.api_key("a".repeat(64)).with_env().build()?;
/// # assert_eq!(config.submit_interval().as_secs(), 60);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<'de> Deserialize<'de> for TelemetryConfigBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parameters;

        impl<'de> Visitor<'de> for Parameters {
            type Value = TelemetryConfigBuilder;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of parameters of the telemetry configuration")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut builder = TelemetryConfigBuilder::default();
                let mut seen: Vec<String> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    let result = match seen.contains(&key) {
                        true => Err("set more than once".to_owned()),
                        false => builder.read(&key, value),
                    };
                    if let Err(message) = result {
                        builder.issues.push(key.clone(), &message);
                    }
                    seen.push(key);
                }
                Ok(builder)
            }
        }

        deserializer.deserialize_map(Parameters)
    }
}

/// Reads a [`TelemetryConfigBuilder`] and builds it. The error lists all issues.
impl<'de> Deserialize<'de> for TelemetryConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TelemetryConfigBuilder::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

/// A value of any type, so that a wrong type is an issue like others and not the end of deserialization.
enum Value {
    Boolean(bool),
    Integer(u64),
    Number(f64),
    Text(String),
    Other(&'static str),
}

impl Value {
    fn text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            // Without the number, which can be a key that lacks its quotes.
            Self::Integer(_) | Self::Number(_) => Err("expected text, found a number".into()),
            other => Err(other.unexpected("text")),
        }
    }

    /// A switch as text, whose words `build` checks.
    fn switch(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => other.boolean().map(|value| value.to_string()),
        }
    }

    fn boolean(self) -> Result<bool, String> {
        match self {
            Self::Boolean(value) => Ok(value),
            other => Err(other.unexpected("true or false")),
        }
    }

    fn count<T: TryFrom<u64>>(self) -> Result<T, String> {
        match self {
            Self::Integer(value) => {
                T::try_from(value).map_err(|_| format!("expected a smaller number, found {value}"))
            }
            other => Err(other.unexpected("an integer, 0 or above")),
        }
    }

    fn duration(self) -> Result<Duration, String> {
        let seconds = match self {
            Self::Integer(seconds) => return Ok(Duration::from_secs(seconds)),
            Self::Number(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            _ => None,
        };
        seconds.ok_or_else(|| self.unexpected("a number of seconds, 0 or above"))
    }

    fn unexpected(&self, expected: &str) -> String {
        let found = match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(_) => "text".into(),
            Self::Other(found) => (*found).to_owned(),
        };
        format!("expected {expected}, found {found}")
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Boolean(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(u64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Other("null"))
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Other("null"))
            }

            fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Value, D::Error> {
                value.deserialize_any(Self)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other("a list"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other("a map"))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests;
