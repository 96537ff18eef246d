//! The enumerated words of schema 1.0.
//!
//! Every enumeration is open: the server may know words that this version of the crate does not,
//! so each one has a last variant, `Other`, that keeps such a word and writes it back unchanged. They
//! are ordered to serve as keys of sorted collections, with such words last: the order is no ranking.

#[cfg(feature = "schemars")]
use std::borrow::Cow;
use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "schemars")]
use crate::schema;
use crate::text::Text;

/// A word that its enumeration does not list.
///
/// It cannot be made directly: converting text into the enumeration yields the named variant where
/// there is one, so that two equal words never compare as different.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unlisted(Box<str>);

impl Unlisted {
    /// The word as it was read.
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
        $name:ident, default $default:ident $(, only $only:literal)? {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = concat!("`", $word, "` on the wire.")] $variant,)+
            /// Any other word, kept as it was read.
            Other(Unlisted),
        }

        impl $name {
            /// The words that this version of the crate has a variant for.
            pub const LISTED: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word.as_str(),
                }
            }

            fn listed(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
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
                Self::listed(word).unwrap_or_else(|| Self::Other(Unlisted(word.into())))
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::listed(&word).unwrap_or_else(|| Self::Other(Unlisted(word.into())))
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            /// Never fails: a word that is not listed becomes `Other`. Case matters.
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
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

open_enum! {
    /// The version of the event schema.
    SchemaVersion, default V1_0, only "1.0" {
        V1_0 = "1.0",
    }
}

open_enum! {
    /// What kind of work the task was.
    TaskType, default Unknown {
        Planning = "planning",
        Implementation = "implementation",
        CodeReview = "code_review",
        Testing = "testing",
        Debugging = "debugging",
        /// Not known to the reporter.
        Unknown = "unknown",
    }
}

open_enum! {
    /// How hard the task was thought to be.
    Complexity, default Medium {
        Low = "low",
        Medium = "medium",
        High = "high",
    }
}

open_enum! {
    /// The tool that drove the model.
    Harness, default Unknown {
        ClaudeCode = "claude_code",
        Opencode = "opencode",
        Aider = "aider",
        /// No tool: the provider's API was called directly.
        ApiDirect = "api_direct",
        /// Not known to the reporter.
        Unknown = "unknown",
    }
}

open_enum! {
    /// Who served the model.
    Provider, default Unknown {
        Anthropic = "anthropic",
        Openai = "openai",
        Ollama = "ollama",
        /// Not known to the reporter.
        Unknown = "unknown",
    }
}

open_enum! {
    /// A check that ran on the task's result.
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
    /// How the task ended.
    Outcome, default Failure {
        Success = "success",
        Failure = "failure",
        /// A part of the task was done.
        Partial = "partial",
        Timeout = "timeout",
    }
}

open_enum! {
    /// The size of the repository that was worked on.
    ///
    /// The protocol names the sizes and does not bound them.
    RepoSizeCategory, default Medium {
        Tiny = "tiny",
        Small = "small",
        Medium = "medium",
        Large = "large",
        Huge = "huge",
    }
}

open_enum! {
    /// How far a prediction can be relied on.
    ///
    /// Name the levels that will do, as in `matches!(confidence, Confidence::Medium |
    /// Confidence::High)`: comparing would let words through that are not listed.
    Confidence, default None {
        /// There is no data; the prediction is absent.
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
            for word in ["", "brand_new", "Unknown", "ünlisted"] {
                let other: $name = word.parse().unwrap();
                assert!(matches!(other, $name::Other(_)), "{word}");
                let json = serde_json::to_string(&other).unwrap();
                assert_eq!(serde_json::from_str::<$name>(&json).unwrap(), other);
                assert_eq!(other.as_str(), word);
            }
        )+};
    }

    #[test]
    fn every_word_survives_the_wire() {
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

    #[test]
    fn the_defaults_are_the_guides() {
        assert_eq!(TaskType::default(), TaskType::Unknown);
        assert_eq!(Provider::default(), Provider::Unknown);
        assert_eq!(Harness::default(), Harness::Unknown);
        assert_eq!(Complexity::default(), Complexity::Medium);
        assert_eq!(Outcome::default(), Outcome::Failure);
    }
}
