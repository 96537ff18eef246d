//! Enumerations of schema 1.0.
//!
//! Every enumeration is open, because servers may know values that this version of the crate does not:
//! the last variant, `Other`, keeps an unlisted value and serializes it unchanged. `Ord` makes them usable
//! as keys of sorted collections, with unlisted values last; it is no ranking.
//!
//! `From` and `FromStr` are for text that people and other libraries write, and recognize its spellings.
//! Deserialization is exact: a document keeps its words.

#[cfg(feature = "schemars")]
use std::borrow::Cow;
use std::{convert::Infallible, fmt, process::ExitStatus, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "schemars")]
use crate::schema;
use crate::{spelling, text::Text};

/// A value that its enumeration does not list.
///
/// It has no public constructor: text that is listed becomes the listed variant, so that equal texts are
/// equal values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unlisted(Box<str>);

impl Unlisted {
    /// Returns the original text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! open_enum {
    (
        $(#[doc = $doc:literal])*
        $name:ident, default $default:ident $(, only $only:literal)? $(, or $spelled:path)? {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
        $(assumed { $($constant:ident = $assumed:literal,)+ })?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("`", $word, "` on the wire.")] $variant,)+
            /// Any other value.
            Other(Unlisted),
        }

        impl $name {
            /// All listed values.
            pub const LISTED: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the serialized text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word.as_str(),
                }
            }

            $($(
                #[doc = concat!(
                    "`", $assumed, "`: an assumption. The schema's known words do not include it; a \
                    server may reject it.",
                )]
                pub const $constant: &'static str = $assumed;
            )+)?

            fn listed(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The listed value that `word` is a spelling of.
            fn spelled(word: &str) -> Option<Self> {
                let is_same = |listed: &&Self| spelling::is_same_word(listed.as_str(), word);
                let spelled = Self::LISTED.iter().find(is_same).cloned();
                $(let spelled = spelled.or_else(|| $spelled(word));)?
                spelled
            }
        }

        impl Default for $name {
            #[doc = concat!("[`", stringify!($name), "::", stringify!($default), "`].")]
            fn default() -> Self {
                Self::$default
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                let known = Self::listed(word).or_else(|| Self::spelled(word));
                known.unwrap_or_else(|| Self::Other(Unlisted(word.into())))
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                let known = Self::listed(&word).or_else(|| Self::spelled(&word));
                known.unwrap_or_else(|| Self::Other(Unlisted(word.into())))
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            /// Infallible: unlisted text becomes `Other`. Ignores case, `-`, `_` and blanks.
            fn from_str(word: &str) -> Result<Self, Infallible> {
                Ok(Self::from(word))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Text for $name {
            $(const ONLY: Option<&'static str> = Some($only);)?

            fn exact(word: String) -> Self {
                Self::listed(&word).unwrap_or_else(|| Self::Other(Unlisted(word.into())))
            }

            fn literal(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some(concat!("\"", $word, "\"")),)+
                    Self::Other(_) => None,
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #[cfg(feature = "schemars")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schema::open_word(concat!($($doc),*), &[$($word),+])
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::exact)
            }
        }
    };
}

open_enum! {
    /// Version of the event schema.
    SchemaVersion, default V1_0, only "1.0" {
        V1_0 = "1.0",
    }
}

open_enum! {
    /// Kind of work of a task.
    TaskType, default Unknown {
        Planning = "planning",
        Implementation = "implementation",
        CodeReview = "code_review",
        Testing = "testing",
        Debugging = "debugging",
        /// Unknown to the reporter.
        Unknown = "unknown",
    }
    assumed {
        REFACTORING = "refactoring",
        DOCUMENTATION = "documentation",
        CONFIGURATION = "configuration",
        SECURITY_AUDIT = "security_audit",
    }
}

open_enum! {
    /// Estimated difficulty of a task.
    Complexity, default Medium {
        Low = "low",
        Medium = "medium",
        High = "high",
    }
    assumed {
        CRITICAL = "critical",
    }
}

open_enum! {
    /// Tool that ran the model.
    Harness, default Unknown {
        ClaudeCode = "claude_code",
        Opencode = "opencode",
        Aider = "aider",
        /// No tool: direct calls of the provider's API.
        ApiDirect = "api_direct",
        /// Unknown to the reporter.
        Unknown = "unknown",
    }
    assumed {
        CODEX = "codex",
        GEMINI_CLI = "gemini_cli",
        GOOSE = "goose",
    }
}

open_enum! {
    /// Provider that served the model.
    ///
    /// `From` and `FromStr` also find a listed provider among the parts of a name, and take Azure's
    /// service for OpenAI's:
    ///
    /// | text | provider |
    /// |---|---|
    /// | `Anthropic`, `openrouter/anthropic/claude-opus-4.5`, `us.anthropic.claude-haiku-4-5-20251001-v1:0` | `anthropic` |
    /// | `OpenAI`, `open-ai`, `azure`, `azure_openai`, `azure.ai.openai` | `openai` |
    /// | `Ollama`, `ollama/qwen3:8b` | `ollama` |
    /// | `Google`, `aws.bedrock` and others | the text itself |
    ///
    /// [`model_vendor`](crate::model_vendor) guesses from the name of a model.
    Provider, default Unknown, or spelling::provider {
        Anthropic = "anthropic",
        Openai = "openai",
        Ollama = "ollama",
        /// Unknown to the reporter.
        Unknown = "unknown",
    }
    assumed {
        GOOGLE = "google",
        MISTRAL = "mistral",
        OPENROUTER = "openrouter",
    }
}

open_enum! {
    /// Check that ran on the result of a task.
    QualityGate, default Build {
        Build = "build",
        Lint = "lint",
        Test = "test",
        Coverage = "coverage",
        Typecheck = "typecheck",
        Security = "security",
    }
}

open_enum! {
    /// Result of a task.
    Outcome, default Failure {
        Success = "success",
        Failure = "failure",
        /// Partial success.
        Partial = "partial",
        Timeout = "timeout",
    }
}

impl<T, E> From<&Result<T, E>> for Outcome {
    /// `Ok` is a success, `Err` a failure.
    fn from(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Success } else { Self::Failure }
    }
}

impl<T, E> From<Result<T, E>> for Outcome {
    /// `Ok` is a success, `Err` a failure.
    fn from(result: Result<T, E>) -> Self {
        Self::from(&result)
    }
}

impl From<ExitStatus> for Outcome {
    /// Exit status 0 is a success, every other one and the end by a signal a failure.
    fn from(status: ExitStatus) -> Self {
        if status.success() { Self::Success } else { Self::Failure }
    }
}

open_enum! {
    /// Size of the repository of a task.
    ///
    /// The protocol does not define the boundaries between sizes.
    RepoSizeCategory, default Medium {
        Tiny = "tiny",
        Small = "small",
        Medium = "medium",
        Large = "large",
        Huge = "huge",
    }
}

open_enum! {
    /// Reliability of a prediction.
    ///
    /// To require a minimum, match the accepted levels, as in `matches!(confidence, Confidence::Medium |
    /// Confidence::High)`: with `>=`, unlisted values would pass.
    Confidence, default None {
        /// No data: the prediction is absent.
        None = "none",
        /// Fewer than 30 samples, or a fallback was used.
        Low = "low",
        /// 30 to 99 samples, all dimensions matched.
        Medium = "medium",
        /// 100 or more samples, all dimensions matched.
        High = "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! check {
        ($($name:ident),+ $(,)?) => {$(
            for listed in $name::LISTED {
                assert_eq!(&$name::from(listed.as_str()), listed);
                assert_eq!(serde_json::to_string(listed).unwrap(), format!("\"{listed}\""));
            }
            for word in ["", "brand_new", "ünlisted"] {
                let other: $name = word.parse().unwrap();
                assert!(matches!(other, $name::Other(_)), "{word}");
                let json = serde_json::to_string(&other).unwrap();
                assert_eq!(serde_json::from_str::<$name>(&json).unwrap(), other);
                assert_eq!(other.as_str(), word);
            }
            for listed in $name::LISTED {
                let spelling = listed.as_str().to_uppercase();
                assert_eq!(&$name::from(spelling.as_str()), listed);
                // Deserialization keeps the word.
                if spelling != listed.as_str() {
                    let json = format!("\"{spelling}\"");
                    let exact: $name = serde_json::from_str(&json).unwrap();
                    assert_eq!(exact.as_str(), spelling);
                }
            }
        )+};
    }

    #[test]
    fn listed_and_unlisted_values_survive_serialization() {
        check!(
            SchemaVersion,
            TaskType,
            Complexity,
            Harness,
            Provider,
            QualityGate,
            Outcome,
            RepoSizeCategory,
            Confidence,
        );
    }

    #[cfg(unix)]
    #[test]
    fn outcome_follows_results_and_exit_statuses() {
        use std::os::unix::process::ExitStatusExt;

        assert_eq!(Outcome::from(Ok::<_, ()>(7)), Outcome::Success);
        assert_eq!(Outcome::from(&Err::<(), _>("an error")), Outcome::Failure);
        // Exit statuses 0 and 1, and the end by signal 9, as `wait` encodes them.
        for (status, outcome) in
            [(0, Outcome::Success), (1 << 8, Outcome::Failure), (9, Outcome::Failure)]
        {
            assert_eq!(Outcome::from(ExitStatus::from_raw(status)), outcome);
        }
    }

    #[test]
    fn defaults_are_those_of_the_python_guide() {
        assert_eq!(TaskType::default(), TaskType::Unknown);
        assert_eq!(Provider::default(), Provider::Unknown);
        assert_eq!(Harness::default(), Harness::Unknown);
        assert_eq!(Complexity::default(), Complexity::Medium);
        assert_eq!(Outcome::default(), Outcome::Failure);
    }
}
