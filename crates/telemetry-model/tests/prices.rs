//! Costs of tokens at the prices that the PyPI package `litellm` lists.

use std::process::Command;

use telemetry_model::{Price, Usage};

/// Every hundredth model of version 1.110.2, as printed by `costs.py`.
const KEPT: &str = include_str!("prices/costs.tsv");

const USAGES: [Usage; 3] = [
    Usage { input: 5, cache_read: 128_955, cache_write: 1_253, output: 500, reasoning: 0 },
    Usage { input: 86, cache_read: 1_920, cache_write: 0, output: 44, reasoning: 256 },
    Usage {
        input: 9_999_991,
        cache_read: 7_654_321,
        cache_write: 333_333,
        output: 1_234_567,
        reasoning: 0,
    },
];

/// Compares the costs with those of the list, computed with fractions, and returns the number of models.
fn check(list: &str) -> usize {
    for line in list.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [_, input, output, cache_read, cache_write, costs @ ..] = columns.as_slice() else {
            panic!("{line}");
        };
        let usd_per_million =
            |price: &&str| price.parse::<f64>().ok().map(|usd_per_token| usd_per_token * 1e6);
        let (input, output) = usd_per_million(input).zip(usd_per_million(output)).expect(line);
        let mut price = Price::usd_per_million(input, output);
        if let Some(usd) = usd_per_million(cache_read) {
            price = price.cache_read(usd);
        }
        if let Some(usd) = usd_per_million(cache_write) {
            price = price.cache_write(usd);
        }
        let found = USAGES.map(|usage| price.cost_of(&usage).to_string());
        assert_eq!(found.as_slice(), costs, "{line}");
    }
    list.lines().count()
}

#[test]
fn costs_at_kept_prices_are_exact() {
    assert!(check(KEPT) >= 30);
}

/// Skipped if the package is not installed (`pip install litellm`).
#[test]
fn costs_at_the_prices_of_litellm_are_exact() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prices/costs.py");
    match Command::new("python3").arg(script).output() {
        Ok(output) if output.status.success() => {
            let list = String::from_utf8(output.stdout).expect("UTF-8");
            let models = check(&list);
            assert!(models > 1_000, "{models}");
            println!("{models} models");
        }
        Ok(output) => {
            let missing = String::from_utf8_lossy(&output.stderr);
            assert_eq!(missing.trim(), "litellm");
            println!("skipped: litellm is not installed");
        }
        Err(error) => println!("skipped: python3: {error}"),
    }
}

#[cfg(feature = "prices")]
#[test]
fn cost_of_a_model_is_that_of_its_provider_day_and_length_or_none() {
    use std::time::{Duration, SystemTime};
    use telemetry_model::{Provider, prices};

    const JANUARY_2025: u64 = 1_735_689_600;
    const JANUARY_2026: u64 = 1_767_225_600;
    let usage = Usage { input: 1_000, output: 1_000, ..Usage::default() };
    let long = Usage { input: 300_000, ..Usage::default() };
    for (provider, model, at, usage, cost) in [
        ("anthropic", "claude-sonnet-4-5-20250929", JANUARY_2026, &USAGES[0], Some(50_900)),
        ("openai", "gpt-5", JANUARY_2026, &USAGES[1], Some(3_348)),
        // Of 2025-06-10.
        ("openai", "o3", JANUARY_2025, &usage, Some(50_000)),
        ("openai", "o3", JANUARY_2026, &usage, Some(10_000)),
        ("google", "gemini-2.5-pro", JANUARY_2026, &usage, Some(11_250)),
        // More than 200,000 tokens.
        ("google", "gemini-2.5-pro", JANUARY_2026, &long, Some(750_000)),
        ("anthropic", "gpt-5", JANUARY_2026, &usage, None),
        ("anthropic", "claude-unheard-of", JANUARY_2026, &usage, None),
        ("anthropic", "", JANUARY_2026, &usage, None),
        ("unknown", "gpt-5", JANUARY_2026, &usage, None),
        ("ollama", "qwen3:8b", JANUARY_2026, &usage, None),
        ("", "gpt-5", JANUARY_2026, &usage, None),
    ] {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let found = prices::cost_of(&Provider::from(provider), model, at, usage);
        assert_eq!(found, cost, "{provider}, {model}");
    }
}
