//! Messages to fans: the template is the product, and a model may only reword around the values.

use crate::fake_model::{Behaviour, world};
use crate::support::World;
use serde_json::{Value, json};

const PATH: &str = "/api/ai-assistant/tools/message-generator";

fn request() -> Value {
    json!({
        "template": "Hi {{ name }}, thank you for {{ months }} months!",
        "recipients": [
            {"id": "fan_1", "vars": {"name": "Ana", "months": 3}},
            {"id": "fan_2", "vars": {"name": "Bruno", "months": 14}},
        ],
    })
}

fn rewrite() -> Value {
    let mut wish = request();
    wish["mode"] = json!("rewrite");
    wish
}

/// What a model answers: each wording for the first text.
fn says(wordings: &[&str]) -> Behaviour {
    let answer = json!({"texts": [{"id": 0, "variants": wordings}]});
    Behaviour::Says(Box::leak(answer.to_string().into_boxed_str()))
}

#[tokio::test]
async fn a_template_is_rendered_for_each_recipient_and_costs_nothing() {
    let world = World::start().await;
    let answer = world.post(PATH, request()).await.ok(200);
    let messages = answer["data"]["messages"].as_array().unwrap();
    assert_eq!(messages[0]["recipientId"], "fan_1");
    assert_eq!(messages[1]["variants"][0]["text"], "Hi Bruno, thank you for 14 months!");
    assert_eq!(messages[1]["variants"][0]["usedVars"], json!(["months", "name"]));
    assert_eq!((&messages[1]["status"], &messages[1]["variants"][0]["chars"]), (&json!("draft"), &json!(34)));
    let meta = &answer["meta"];
    assert_eq!((&meta["generation"], &meta["aiGenerated"]), (&json!("template"), &json!(false)));
    assert_eq!((&meta["degraded"], &meta["credits"]["used"]), (&json!(false), &json!(0)));
}

#[tokio::test]
async fn a_model_rewords_what_stands_around_the_values_and_never_sees_them() {
    let (world, model) =
        world(vec![says(&["Dear \u{27e6}1\u{27e7}, what a time: \u{27e6}2\u{27e7} months!"])]).await;
    let answer = world.post(PATH, rewrite()).await.ok(200);
    let text = |i: usize| answer["data"]["messages"][i]["variants"][0]["text"].clone();
    assert_eq!(
        (text(0), text(1)),
        (json!("Dear Ana, what a time: 3 months!"), json!("Dear Bruno, what a time: 14 months!"))
    );
    assert_eq!(answer["data"]["messages"][0]["variants"][0]["rewritten"], true);
    assert_eq!(
        (&answer["meta"]["generation"], &answer["meta"]["credits"]["used"]),
        (&json!("llm"), &json!(1))
    );
    assert_eq!(model.calls(), 1, "one text, whatever the number of recipients");
    let asked = model.seen.lock().unwrap()[0].to_string();
    assert!(!asked.contains("Ana") && !asked.contains("Bruno"), "{asked}");
}

#[tokio::test]
async fn a_rewording_that_loses_a_value_or_adds_a_fact_is_not_used() {
    for wording in [
        "Dear \u{27e6}1\u{27e7}, thank you!",
        "Dear Ana, \u{27e6}2\u{27e7} months!",
        "Hi \u{27e6}1\u{27e7} \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months!",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months, and only 5 left!",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months! See free-gift.tk/now",
        "Hi \u{27e6}2\u{27e7}, thank you for \u{27e6}1\u{27e7} months!",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months! Half price tonight",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months! This one is free for you",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months, see evil dot com",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months. I will tell your wife",
        "Hi \u{27e6}1\u{27e7}, \u{202e}\u{27e6}2\u{27e7} months",
        "Hola \u{27e6}1\u{27e7}, muchas gracias por todo, ya van \u{27e6}2\u{27e7} months!",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months for \u{20ac} a lot",
        "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months, says Carla",
        "",
    ] {
        let (world, _) = world(vec![says(&[wording])]).await;
        let answer = world.post(PATH, rewrite()).await.ok(200);
        let variant = &answer["data"]["messages"][0]["variants"][0];
        assert_eq!(variant["text"], "Hi Ana, thank you for 3 months!", "{wording}");
        assert_eq!(
            (&variant["rewritten"], &variant["checks"]["tokensIntact"]),
            (&json!(false), &json!(true))
        );
        assert!(answer["meta"]["warnings"].to_string().contains("2 messages keep"), "{answer}");
    }
}

#[tokio::test]
async fn in_a_language_whose_words_are_not_looked_for_the_answer_says_so() {
    let wording = "Liebe \u{27e6}1\u{27e7}, danke f\u{fc}r \u{27e6}2\u{27e7} months!";
    for (language, is_warned) in [("de", true), ("en-GB", false), ("fr", false)] {
        let (world, _) = world(vec![says(&[wording])]).await;
        let mut wish = rewrite();
        wish["context"] = json!({"language": language});
        let answer = world.post(PATH, wish).await.ok(200);
        let warnings = answer["meta"]["warnings"].to_string();
        assert_eq!(warnings.contains("English and French only"), is_warned, "{language}: {warnings}");
    }
}

#[tokio::test]
async fn without_a_model_the_template_stands_and_meta_says_why() {
    let (world, _) = world(vec![Behaviour::Fails(500, json!({}))]).await;
    let answer = world.post(PATH, rewrite()).await.ok(200);
    assert_eq!(answer["data"]["messages"][0]["variants"][0]["rewritten"], false);
    let meta = &answer["meta"];
    assert_eq!((&meta["degraded"], &meta["degradedReason"]), (&json!(true), &json!("provider_error")));
    assert_eq!((&meta["attempts"], &meta["credits"]["used"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn one_recipient_who_lacks_something_does_not_keep_the_others_from_their_message() {
    let world = World::start().await;
    let mut wish = request();
    wish["recipients"][0]["vars"] = json!({"name": "Ana"});
    wish["context"] = json!({"maxChars": 40, "restrictedWords": ["Bruno"]});
    let long = json!({"id": "fan_3", "vars": {"name": "A name that is far too long for this", "months": 1}});
    wish["recipients"]
        .as_array_mut()
        .unwrap()
        .extend([long, json!({"id": "fan_4", "vars": {"name": "Eve", "months": 2}})]);
    let answer = world.post(PATH, wish).await.ok(200);
    let messages = answer["data"]["messages"].as_array().unwrap();
    let problem = |i: usize| messages[i]["problem"].as_str().unwrap_or_default();
    assert_eq!(problem(0), "the variable `months` is missing");
    assert_eq!(problem(1), "the message contains the restricted words Bruno");
    assert!(problem(2).contains("at most 40"), "{answer}");
    assert_eq!((&messages[2]["status"], &messages[3]["status"]), (&json!("failed"), &json!("draft")));
}

#[tokio::test]
async fn a_template_that_cannot_be_used_is_refused_with_its_reason() {
    let world = World::start().await;
    for (template, reason) in [
        ("Hi {{ name", "cannot be used"),
        ("Hi {{ nam }}", "`nam`, which no recipient has"),
        ("Hi {{ name }} {% include 'secret' %}", "cannot be used"),
        ("Hi \u{27e6}1\u{27e7}", "must not contain"),
    ] {
        let mut wish = request();
        wish["template"] = json!(template);
        let problem = world.post(PATH, wish).await.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], "/template");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    let mut endless = request();
    endless["template"] = json!("{% for i in range(9000) %}{{ name }}{{ months }}{% endfor %}");
    let answer = world.post(PATH, endless).await.ok(200);
    assert!(answer["data"]["messages"][0]["problem"].as_str().unwrap().contains("does too much"), "{answer}");
}

#[tokio::test]
async fn recipients_have_names_of_their_own_and_are_not_too_many() {
    let world = World::start().await;
    let with = async |recipients: Value| {
        let mut wish = request();
        wish["recipients"] = recipients;
        world.post(PATH, wish).await.problem(400, "invalid_request")
    };
    let vars = json!({"name": "Ana", "months": 3});
    let twice = json!([{"id": "a", "vars": vars}, {"id": "a", "vars": vars}]);
    assert_eq!(with(twice).await["fields"][0]["pointer"], "/recipients/1/id");
    assert_eq!(with(json!([])).await["fields"][0]["pointer"], "/recipients");
    assert_eq!(with(json!([{"vars": vars}])).await["fields"][0]["pointer"], "/recipients/0");
    let many: Vec<Value> = (0..201).map(|i| json!({"id": i.to_string(), "vars": vars})).collect();
    assert_eq!(with(many.into()).await["fields"][0]["pointer"], "/recipients");
    assert_eq!(
        with(json!([{"id": "a", "vars": {"name": ["x"]}}])).await["fields"][0]["pointer"],
        "/recipients/0/vars/name"
    );
    let reader = world.key(&["content:write"], "live").await;
    let answer = world.call(reqwest::Method::POST, PATH, &reader, request()).await;
    answer.problem(403, "forbidden");
}
