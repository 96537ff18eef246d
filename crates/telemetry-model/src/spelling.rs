//! Spellings of listed words, and vendors of models.

use crate::Provider;

/// Returns whether the words differ only in case, `-`, `_` and blanks.
pub(crate) fn is_same_word(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(word: &str) -> impl Iterator<Item = char> {
    let letters = word.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase)
}

/// Returns the listed provider that a name has as one of its parts.
pub(crate) fn provider(name: &str) -> Option<Provider> {
    let listed = |part: &str| {
        let providers = [Provider::Anthropic, Provider::Openai, Provider::Ollama];
        providers.into_iter().find(|provider| is_same_word(provider.as_str(), part))
    };
    let azure = || ["azure", "azure_openai"].iter().any(|azure| is_same_word(azure, name));
    parts(name).find_map(listed).or_else(|| azure().then_some(Provider::Openai))
}

/// The parts of a name such as `openrouter/anthropic/claude-sonnet-4.5` or
/// `us.anthropic.claude-haiku-4-5-20251001-v1:0`.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['/', '.', ':', '@'])
}

/// Returns the vendor of a model, if the model's name says it: by a vendor among its parts, or by the name
/// of the vendor's models.
///
/// The vendor need not have served the model. For Google, Mistral and others that the schema does not list,
/// the result is an assumed word such as [`Provider::GOOGLE`].
///
/// | name | vendor |
/// |---|---|
/// | `claude-sonnet-4-5-20250929`, `us.anthropic.claude-haiku-4-5-20251001-v1:0`, `openrouter/anthropic/claude-opus-4.5` | `anthropic` |
/// | `gpt-5-codex`, `o3-mini`, `chatgpt-4o-latest`, `azure/my-gpt-4o` | `openai` |
/// | `ollama/qwen3:8b` | `ollama` |
/// | `gemini-2.5-pro`, `vertex_ai/gemini-2.5-flash` | `google` |
/// | `codestral-latest`, `mistral-large-2411` | `mistral` |
/// | `llama-3.3-70b`, `my-deployment` | none |
///
/// ```
/// use telemetry_model::{Provider, model_vendor};
///
/// assert_eq!(model_vendor("openrouter/anthropic/claude-opus-4.5"), Some(Provider::Anthropic));
/// assert_eq!(model_vendor("my-deployment"), None);
/// ```
#[must_use]
pub fn model_vendor(model: &str) -> Option<Provider> {
    provider(model).or_else(|| {
        let name = model.to_lowercase();
        let vendor = parts(&name).find_map(family)?;
        Some(Provider::from(vendor))
    })
}

/// Returns the vendor of the family of models that `part` names, in lower case.
fn family(part: &str) -> Option<&'static str> {
    let words: Vec<&str> = part.split(['-', '_', ' ']).collect();
    words.iter().enumerate().find_map(|(index, word)| match *word {
        "claude" => Some("anthropic"),
        "chatgpt" => Some("openai"),
        // Others call their models `gpt-j` and `gpt-neox`.
        "gpt" => {
            let version = words.get(index + 1)?;
            let is_openai = version.starts_with(|c: char| c.is_ascii_digit())
                || matches!(*version, "audio" | "image" | "oss" | "realtime");
            is_openai.then_some("openai")
        }
        "gpt4" | "gpt4o" | "gpt5" => Some("openai"),
        "codex" | "o1" | "o3" | "o4" if index == 0 => Some("openai"),
        "gemini" | "gemma" => Some(Provider::GOOGLE),
        "codestral" | "devstral" | "magistral" | "ministral" | "mistral" | "mixtral"
        | "pixtral" | "voxtral" => Some(Provider::MISTRAL),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Harness, Outcome, TaskType};

    #[test]
    fn spellings_lead_to_the_listed_word() {
        for (spellings, provider) in [
            (
                "anthropic Anthropic ANTHROPIC openrouter/anthropic us.anthropic",
                Provider::Anthropic,
            ),
            ("openrouter/anthropic/claude-opus-4.5", Provider::Anthropic),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Provider::Anthropic),
            ("openai OpenAI Open-AI open_ai azure Azure azure_openai", Provider::Openai),
            ("azure.ai.openai azure/openai", Provider::Openai),
            ("Ollama ollama/qwen3:8b", Provider::Ollama),
            ("unknown Unknown UNKNOWN", Provider::Unknown),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(Provider::from(spelling), provider, "{spelling}");
                assert_eq!(Provider::from(spelling.to_owned()), provider, "{spelling}");
            }
        }
        assert_eq!(Provider::from("Open AI"), Provider::Openai);
        for spelling in ["claude-code", "Claude Code", "ClaudeCode", "claude_code"] {
            assert_eq!(Harness::from(spelling), Harness::ClaudeCode);
        }
        assert_eq!(TaskType::from("CodeReview"), TaskType::CodeReview);
        assert_eq!("SUCCESS".parse(), Ok(Outcome::Success));
    }

    #[test]
    fn unlisted_words_stay_as_they_are() {
        for word in
            ["", "-", "Google", "gcp.gemini", "aws.bedrock", "openai-compatible", "x/unknown"]
        {
            assert!(matches!(Provider::from(word), Provider::Other(_)), "{word}");
            assert_eq!(Provider::from(word).as_str(), word);
        }
        assert_eq!(Harness::from("Codex").as_str(), "Codex");
    }

    #[test]
    fn vendor_is_guessed_from_the_model_name_only_where_it_says_so() {
        for (vendor, names) in [
            (
                "anthropic",
                "claude-sonnet-4-5-20250929 Claude-3.5-Sonnet openrouter/anthropic/claude-opus-4.5 \
                 us.anthropic.claude-haiku-4-5-20251001-v1:0 claude-opus-4@20250514 \
                 vertex_ai/claude-sonnet-4 azure/claude-opus-4-5 anthropic/unheard-of",
            ),
            (
                "openai",
                "gpt-4o gpt-5-codex GPT-4.1 chatgpt-4o-latest o1 o3-mini o4-mini-2025-04-16 \
                 azure/my-gpt-4o prod_gpt4o_eu openrouter/openai/o3 gpt-oss:20b ft:gpt-4o-mini:org \
                 codex-mini-latest gpt-image-1",
            ),
            ("ollama", "ollama/qwen3:8b ollama/gpt-oss:20b"),
            ("google", "gemini-2.5-pro vertex_ai/gemini-2.5-flash models/gemini-3-pro"),
            ("mistral", "mistral-large-2411 codestral-latest mistral/devstral-small"),
            ("", "llama-3.3-70b my-deployment gpt-j-6b gpt-neox-20b minigpt solo3 foo-o3 azure/eu"),
        ] {
            for name in names.split_whitespace() {
                let expected = Some(Provider::from(vendor)).filter(|_| !vendor.is_empty());
                assert_eq!(model_vendor(name), expected, "{name}");
            }
        }
    }
}
