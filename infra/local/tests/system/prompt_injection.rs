//! Hostile bios, names and messages, before a model that obeys every one of them: what it is talked into must not reach
//! an answer.

use crate::fake_model::{Behaviour, Model, world};
use crate::support::World;
use serde_json::{Value, json};

const LINK: &str = "upstream.example";

fn corpus() -> Vec<&'static str> {
    let all: Vec<_> = include_str!("prompt_injection.txt").lines().filter(|line| !line.is_empty()).collect();
    assert!(all.len() >= 40);
    all
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The instructions of the last call, as the model saw them.
fn instructions(model: &Model) -> Vec<String> {
    let seen = model.seen.lock().unwrap();
    words(seen.last().unwrap()["messages"][0]["content"].as_str().unwrap())
}

/// Asserts that a text quotes no eight words of the instructions, unless the caller wrote them, and holds no link of the
/// model's.
#[track_caller]
fn clean(text: &str, given: &str, model: &Model) {
    let (own, instructions) = (words(given), instructions(model));
    let own: Vec<_> = own.windows(8).collect();
    let said = words(text);
    for run in said.windows(8) {
        let quotes = instructions.windows(8).any(|window| window == run);
        assert!(!quotes || own.contains(&run), "quotes the instructions after {given:?}: {text}");
    }
    assert!(!text.contains(LINK) || given.contains(LINK), "a foreign link after {given:?}: {text}");
}

fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(members) => members.values().for_each(|member| texts(member, into)),
        _ => {}
    }
}

fn all_texts(value: &Value) -> String {
    let mut all = Vec::new();
    texts(value, &mut all);
    all.join("\n")
}

#[tokio::test]
async fn ideas_for_hostile_profiles_hold_neither_instructions_nor_links() {
    let (world, model) = world(vec![Behaviour::Obeys]).await;
    world.set_plan("agency").await;
    for hostile in corpus() {
        let niche: String = hostile.chars().filter(|c| !c.is_control()).take(80).collect();
        let audience: String = hostile.chars().filter(|c| !c.is_control()).take(160).collect();
        let wish = json!({"profile": {"niche": niche, "audience": audience, "tone": "warm"}, "options": {"count": 3, "fresh": true}});
        let answer = world.post("/api/content-ideas/generate", wish).await.ok(200);
        assert_eq!(answer["meta"]["provider"], "openai", "one idea of four may be shown: {answer}");
        assert_eq!(answer["data"]["dropped"]["policy"], 3, "{answer}");
        assert_eq!(answer["data"]["ideas"].as_array().unwrap().len(), 1);
        clean(&all_texts(&answer["data"]), "", &model);
    }
}

#[tokio::test]
async fn messages_to_fans_with_hostile_names_keep_every_value_and_gain_nothing() {
    let (world, model) = world(vec![Behaviour::Obeys]).await;
    world.set_plan("agency").await;
    for names in corpus().chunks(20) {
        let fan = |(n, name): (usize, &&str)| {
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            json!({"id": format!("fan_{n}"), "vars": {"name": name, "months": 3}})
        };
        let recipients: Vec<Value> = names.iter().enumerate().map(fan).collect();
        let wish = json!({
            "template": "Hi {{ name }}, thank you for {{ months }} months!", "recipients": recipients, "mode": "rewrite",
            "variants": 3, "context": {"maxChars": 2000},
        });
        let answer = world.post("/api/ai-assistant/tools/message-generator", wish.clone()).await.ok(200);
        for (recipient, message) in recipients.iter().zip(answer["data"]["messages"].as_array().unwrap()) {
            let name = recipient["vars"]["name"].as_str().unwrap();
            // A name that looks like one of our tokens is refused rather than confused with one.
            let Some(variants) = message["variants"].as_array().filter(|variants| !variants.is_empty())
            else {
                assert!(message["problem"].as_str().is_some_and(|problem| problem.len() > 10), "{message}");
                continue;
            };
            for variant in variants {
                let text = variant["text"].as_str().unwrap();
                assert_eq!(text.matches(name).count(), 1, "{text}");
                assert!(text.contains("3 months"), "{text}");
                clean(&text.replace(name, ""), "", &model);
            }
        }
        let seen = model.seen.lock().unwrap().last().cloned().unwrap().to_string();
        for name in names {
            assert!(!seen.contains(*name), "the model saw a value: {name}");
        }
    }
}

#[tokio::test]
async fn conversations_with_hostile_turns_hold_neither_instructions_nor_links() {
    let (world, model) = world(vec![Behaviour::Obeys]).await;
    world.set_plan("agency").await;
    for hostile in corpus() {
        let hostile: String = hostile.chars().filter(|c| !c.is_control()).collect();
        let wish = json!({"messages": [{"role": "user", "content": hostile}]});
        let answer = world.post("/api/ai-assistant/generate", wish).await.ok(200);
        let text = answer["data"]["message"]["content"].as_str().unwrap();
        assert!(text.starts_with("Of course."), "what is harmless is told: {answer}");
        clean(text, &hostile, &model);
        assert_eq!(answer["data"]["finishReason"], "refused", "{answer}");
    }
}

#[tokio::test]
async fn history_of_odd_posts_and_right_to_left_text_is_only_data() {
    let world = World::start().await;
    let creator = world.post("/api/creators", crate::support::creator("Ana")).await.ok(201);
    let path = format!("/api/creators/{}/posts", creator["id"].as_str().unwrap());
    let post = |(n, text): (usize, &str)| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        json!({"id": format!("p{n}"), "platform": "instagram", "publishedAt": "2026-01-01T00:00:00Z", "text": text, "likes": u64::MAX}).to_string()
    };
    let lines: Vec<String> = corpus().into_iter().enumerate().map(post).collect();
    let request = world.request(reqwest::Method::POST, &path).header("content-type", "application/x-ndjson");
    let request =
        request.header("authorization", format!("Bearer {}", world.demo.key)).body(lines.join("\n"));
    let imported = crate::support::Answer::of(request.send().await.unwrap()).await.ok(200);
    assert_eq!(imported["imported"], lines.len(), "{imported}");
    let wish = json!({"creatorId": creator["id"], "options": {"count": 5}});
    let answer = world.post("/api/content-ideas/generate", wish).await.ok(200);
    assert_eq!(answer["data"]["ideas"].as_array().unwrap().len(), 5);
    assert!(!all_texts(&answer["data"]["ideas"]).contains(LINK));
}
