//! Tokens of agents, of answers without usage, and in older conventions.

use super::*;

#[test]
fn agent_that_repeats_the_usage_of_its_requests_is_counted_once() {
    let agent = |input: u64| {
        info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.request.model = "agent",
            gen_ai.usage.input_tokens = input,
            gen_ai.usage.output_tokens = 5,
        )
    };
    let event = only(|| agent(30).in_scope(|| drop([answered("m", 10, 2), answered("m", 20, 3)])));
    assert_eq!((tokens(&event), event.model.as_str()), ((30, 5), "m"));
    // Its requests have no spans, or no usage.
    let event = only(|| drop(agent(30)));
    assert_eq!((tokens(&event), event.model.as_str()), ((30, 5), "agent"));
    let event = only(|| agent(30).in_scope(|| drop(chat("m"))));
    assert_eq!((tokens(&event), event.model.as_str()), ((30, 5), "m"));
    // A sub-agent is called as a tool.
    let event = only(|| {
        agent(60).in_scope(|| {
            drop(answered("m", 10, 2));
            info_span!("tool", gen_ai.operation.name = "execute_tool")
                .in_scope(|| agent(50).in_scope(|| drop(answered("m", 50, 3))));
        });
    });
    assert_eq!(tokens(&event), (60, 5));
}

#[test]
fn tokens_are_unknown_if_an_answer_lacks_usage() {
    let without = || {
        let span = chat("m");
        span.record("gen_ai.response.model", "n");
        drop(span);
    };
    let event = only(|| {
        info_span!("task").in_scope(|| {
            drop(answered("m", 1_000, 10));
            without();
        });
    });
    assert_eq!((tokens(&event), event.outcome), ((0, 0), Outcome::Success));
    // A failed request has none, and a span around the requests may know the sum.
    let event = only(|| info_span!("task").in_scope(|| drop([failed(), answered("m", 2, 1)])));
    assert_eq!(tokens(&event), (2, 1));
    let agent = || info_span!("agent", gen_ai.usage.input_tokens = 9);
    let event = only(|| {
        agent().in_scope(|| {
            drop(answered("m", 2, 1));
            without();
        });
    });
    assert_eq!(tokens(&event), (9, 0));
}

#[test]
fn names_and_spellings_of_older_conventions_are_read() {
    let event = only(|| {
        drop(info_span!(
            "chat",
            gen_ai.system = "OpenAI",
            gen_ai.response.model = ?"gpt-4o",
            gen_ai.usage.prompt_tokens = 100_i64,
            gen_ai.usage.completion_tokens = %7,
            gen_ai.usage.cache_read_input_tokens = 60,
            gen_ai.usage.cache_creation_input_tokens = 50,
        ));
    });
    // A total that is smaller than its parts does not contain them.
    assert_eq!((tokens(&event), event.model.as_str()), ((210, 7), "gpt-4o"));
    assert_eq!(event.provider, Provider::Openai);
}
