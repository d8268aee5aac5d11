//! The words of an advice agree with its numbers, and the advice with the request.

use std::collections::BTreeSet;

use super::*;
use crate::contract::price_advice::{GuardrailCode, PriceAction};
use serde_json::{Value, json};

fn request(change: impl FnOnce(&mut Value)) -> PriceAdviceRequest {
    let mut body = json!({
        "product": {"type": "message", "currentPriceCents": 900, "feePct": 20, "currency": "USD"},
        "offers": [
            {"priceCents": 900, "offered": 600, "sold": 380},
            {"priceCents": 1500, "offered": 300, "sold": 150},
            {"priceCents": 1900, "offered": 200, "sold": 85},
        ],
    });
    change(&mut body);
    serde_json::from_value(body).unwrap()
}

fn advise(request: &PriceAdviceRequest, language: Language) -> PriceAdviceData {
    advice(request, &check(request).unwrap().unwrap(), &[], language)
}

/// The numbers in a text, without the spaces and commas of its language.
fn numbers(text: &str) -> BTreeSet<String> {
    let plain: String = text.chars().filter(|c| *c != '\u{202f}').collect();
    let plain = plain.replace(',', ".");
    let words = plain.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    words.map(|word| word.trim_matches('.').to_owned()).filter(|word| !word.is_empty()).collect()
}

/// Every number of an answer in the forms in which a sentence may contain it: as it is, as dollars, and in percent.
fn numbers_of_answer(data: &PriceAdviceData, request: &PriceAdviceRequest) -> BTreeSet<String> {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Number(number) => {
                let number = number.as_f64().unwrap().abs();
                found.insert(number.to_string());
                found.insert(format!("{:.2}", number / 100.0));
                found.insert(((number * 1000.0).round() / 10.0).to_string());
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(members) => members.values().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(&json!({"recommendation": data.recommendation, "estimate": data.estimate}), &mut found);
    let price = f64::from(request.product.current_price_cents.get());
    // The reader knows these besides: the current price, the constants of the rules (25% and 30 offers), and the one
    // percent by which an elasticity raises the price.
    found.extend([format!("{:.2}", price / 100.0), "1".to_owned(), "25".to_owned(), "30".to_owned()]);
    found
}

#[test]
fn every_number_in_the_words_stands_in_the_answer_in_both_languages() {
    let requests = [
        request(|_| {}),
        request(|body| body["policy"] = json!("thompson")),
        request(|body| body["product"]["currentPriceCents"] = json!(1500)),
        request(|body| body["offers"] = json!([{"priceCents": 900, "offered": 40, "sold": 20}])),
        request(|body| body["offers"][1] = json!({"priceCents": 1125, "offered": 300, "sold": 180})),
        request(|body| body["offers"][1] = json!({"priceCents": 1125, "offered": 300, "sold": 10})),
    ];
    for request in &requests {
        for language in [Language::English, Language::French] {
            let data = advise(request, language);
            let allowed = numbers_of_answer(&data, request);
            let words = format!(
                "{} {}",
                data.explanation,
                data.guardrails.iter().map(|g| g.detail.as_str()).collect::<String>()
            );
            let unknown: Vec<_> = numbers(&words).difference(&allowed).cloned().collect();
            assert!(unknown.is_empty(), "{unknown:?} in {words}\nallowed: {allowed:?}");
            assert!(numbers(&words).len() > 3, "{words}");
        }
    }
}

#[test]
fn the_words_follow_the_action() {
    let begins = |request: &PriceAdviceRequest, language, action: PriceAction, words: &str| {
        let data = advise(request, language);
        let explanation = data.explanation.replace(['\u{a0}', '\u{202f}'], " ");
        assert_eq!(data.recommendation.action, action, "{explanation}");
        assert!(explanation.starts_with(words), "{explanation}");
    };
    let test = request(|_| {});
    begins(
        &test,
        Language::English,
        PriceAction::Test,
        "Test USD 11.25 on 30% of the offers, beside USD 9.00. USD 11.25 is better with a probability of ",
    );
    begins(
        &test,
        Language::French,
        PriceAction::Test,
        "Testez 11,25 USD sur 30 % des offres, à côté de 9,00 USD. 11,25 USD est meilleur avec une probabilité de ",
    );
    let switch = request(|body| body["offers"][1] = json!({"priceCents": 1125, "offered": 300, "sold": 180}));
    begins(&switch, Language::English, PriceAction::Switch, "Take USD 11.25 instead of USD 9.00. ");
    let keep = request(|body| {
        body["offers"] = json!([
            {"priceCents": 720, "offered": 3000, "sold": 1900}, {"priceCents": 900, "offered": 3000, "sold": 1800},
            {"priceCents": 1125, "offered": 3000, "sold": 900},
        ]);
    });
    begins(&keep, Language::English, PriceAction::Keep, "Keep USD 9.00. ");
    assert_eq!(advise(&keep, Language::English).recommendation.price_cents, 900);
    let thin = request(|body| body["offers"] = json!([{"priceCents": 900, "offered": 12, "sold": 5}]));
    begins(
        &thin,
        Language::French,
        PriceAction::Test,
        "Testez 11,25 USD sur 30 % des offres, à côté de 9,00 USD. Jusqu'ici il y a eu 12 offres à 1 prix",
    );
}

#[test]
fn a_price_that_may_not_move_is_kept_and_nothing_is_said_to_be_unknown() {
    let fixed = request(|body| body["constraints"] = json!({"minCents": 900, "maxCents": 900}));
    let data = advise(&fixed, Language::English);
    assert_eq!((data.recommendation.action, data.recommendation.price_cents), (PriceAction::Keep, 900));
    assert!(
        !data.explanation.contains("too little") && data.explanation.contains("After 1100 offers"),
        "{}",
        data.explanation
    );
}

#[test]
fn a_fee_scales_the_profit_and_a_cost_raises_the_best_price() {
    let with_fee = advise(&request(|_| {}), Language::English);
    let without_fee = advise(&request(|body| body["product"]["feePct"] = json!(0)), Language::English);
    assert_eq!(
        with_fee.estimate.optimal_cents, without_fee.estimate.optimal_cents,
        "a share of everything moves no optimum"
    );
    assert!((with_fee.curve[0].profit_cents / without_fee.curve[0].profit_cents - 0.8).abs() < 0.01);
    let cost = advise(&request(|body| body["product"]["unitCostCents"] = json!(500)), Language::English);
    assert!(cost.estimate.optimal_cents > with_fee.estimate.optimal_cents);
    let revenue = request(|body| {
        body["product"]["unitCostCents"] = json!(500);
        body["objective"] = json!("revenue");
    });
    assert_eq!(advise(&revenue, Language::English).estimate.optimal_cents, with_fee.estimate.optimal_cents);
}

#[test]
fn a_price_for_a_segment_is_personal_and_must_be_disclosed() {
    assert!(!advise(&request(|_| {}), Language::English).disclosure_required);
    assert!(advise(&request(|body| body["segment"] = json!("loyal")), Language::English).disclosure_required);
}

#[test]
fn members_that_contradict_each_other_are_named() {
    let pointer = |change: fn(&mut Value)| match check(&request(change)) {
        Err(PriceAdviceError::Member { pointer, message }) => (pointer, message),
        other => panic!("{other:?}"),
    };
    let sold = pointer(|body| body["offers"][1]["sold"] = json!(301));
    assert_eq!(sold, ("/offers/1/sold".to_owned(), "must be at most `offered`, 300, is 301".to_owned()));
    assert_eq!(pointer(|body| body["constraints"] = json!({"minCents": 1000})).0, "/constraints/minCents");
    assert_eq!(pointer(|body| body["constraints"] = json!({"maxCents": 800})).0, "/constraints/maxCents");
    let crossed = pointer(|body| body["constraints"] = json!({"minCents": 900, "maxCents": 800}));
    assert_eq!(crossed.1, "must be at least `minCents`, 900, is 800");
    assert_eq!(pointer(|body| body["offers"] = json!([])).0, "/offers");
    let nothing = request(|body| body["offers"] = json!([{"priceCents": 900, "offered": 0, "sold": 0}]));
    assert!(matches!(check(&nothing), Err(PriceAdviceError::NoData)));
}

#[test]
fn equal_prices_are_added_up() {
    let twice = request(|body| {
        body["offers"] = json!([
            {"priceCents": 900, "offered": 300, "sold": 190}, {"priceCents": 1500, "offered": 300, "sold": 150},
            {"priceCents": 900, "offered": 300, "sold": 190}, {"priceCents": 1900, "offered": 200, "sold": 85},
        ]);
    });
    let data =
        |request: &PriceAdviceRequest| serde_json::to_value(advise(request, Language::English)).unwrap();
    assert_eq!(data(&twice), data(&request(|_| {})));
}

#[test]
fn what_holds_the_advice_back_is_told_with_its_reason() {
    let data = advise(&request(|_| {}), Language::English);
    let step = data.guardrails.iter().find(|guard| guard.code == GuardrailCode::StepLimited).unwrap();
    assert!(step.detail.contains("further away than one step of 25%"), "{}", step.detail);
}
