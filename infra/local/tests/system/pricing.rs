//! Price advice through the API, and the offers it learns from.

use crate::assistant::{streamed, text_of};
use crate::support::{Answer, World, creator};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Millis;

const TOOL: &str = "/api/ai-assistant/tools/pricing-optimizer";
const CSV: &str = "day,productType,segment,currency,priceCents,offered,sold";

fn price_request(change: impl FnOnce(&mut Value)) -> Value {
    let mut wish = json!({
        "product": {"type": "message", "currentPriceCents": 900, "unitCostCents": 0, "feePct": 20, "currency": "USD"},
        "offers": [{"priceCents": 900, "offered": 180, "sold": 84}, {"priceCents": 1200, "offered": 90, "sold": 33}],
        "constraints": {"minCents": 500, "maxCents": 3000, "maxStepPct": 25},
    });
    change(&mut wish);
    wish
}

/// A request for advice about a stored creator, without offers in the request.
fn stored(id: &str) -> Value {
    price_request(|wish| {
        wish["creatorId"] = json!(id);
        wish["offers"] = json!([]);
    })
}

fn day(ago: u64) -> String {
    Millis(Millis::now().0 - ago * 86_400_000).rfc3339()[..10].to_owned()
}

async fn create_creator(world: &World, language: &str) -> (String, String) {
    let mut profile = creator("Ana");
    profile["language"] = json!(language);
    let id = world.post("/api/creators", profile).await.ok(201)["id"].as_str().unwrap().to_owned();
    (format!("/api/creators/{id}/offers"), id)
}

async fn import(world: &World, path: &str, rows: &str) -> Answer {
    let request = world.request(Method::POST, path).header("content-type", "text/csv");
    let request = request.header("authorization", format!("Bearer {}", world.demo.key));
    Answer::of(request.body(format!("{CSV}\n{rows}")).send().await.expect("an answer")).await
}

#[tokio::test]
async fn advice_tells_what_to_do_how_sure_it_is_and_what_held_it_back_and_is_kept() {
    let world = World::start().await;
    let answer = world.post(TOOL, price_request(|_| {})).await.ok(200);
    let (data, meta) = (&answer["data"], &answer["meta"]);
    let said = &data["recommendation"];
    assert_eq!((&said["action"], &said["priceCents"]), (&json!("test"), &json!(1125)), "{answer}");
    assert!((6.0..=30.0).contains(&said["testSharePct"].as_f64().unwrap()), "{said}");
    assert!(
        said["probabilityBetter"].as_f64().unwrap() > 0.5 && said["offersNeeded"].as_u64().unwrap() >= 80
    );
    let [low, high] = [0, 1].map(|n| data["estimate"]["interval90"][n].as_u64().unwrap());
    let best = data["estimate"]["optimalCents"].as_u64().unwrap();
    assert!(low < best && best < high, "{data}");
    assert_eq!((&data["estimate"]["n"], &data["estimate"]["prices"]), (&json!(270), &json!(2)));
    // 84 of 180 were sold: what is believed of that price agrees with it.
    let curve = data["curve"].as_array().unwrap();
    let here = curve.iter().find(|point| point["priceCents"] == 900).unwrap();
    let [low, high] = ["p05", "p95"].map(|end| here[end].as_f64().unwrap());
    assert!((0.39..0.43).contains(&low) && (0.49..0.54).contains(&high), "{here}");
    assert!(curve.windows(2).all(|pair| pair[0]["priceCents"].as_u64() < pair[1]["priceCents"].as_u64()));
    let guards: Vec<_> = data["guardrails"].as_array().unwrap().iter().map(|g| g["code"].clone()).collect();
    assert!(guards.contains(&json!("beyond_history")), "{guards:?}");
    assert!(data["explanation"].as_str().unwrap().starts_with("Test USD\u{a0}11.25"), "{data}");
    assert_eq!(data["disclosureRequired"], false);
    let told = ["generation", "provider", "model", "aiGenerated", "degraded"].map(|name| meta[name].clone());
    assert_eq!(told, [json!("statistics"), json!("builtin"), json!("pricing/1"), json!(false), json!(false)]);
    assert_eq!((&meta["credits"]["used"], &meta["usage"]["costMicroUsd"]), (&json!(0), &json!(0)));
    let again = world.post(TOOL, price_request(|_| {})).await.ok(200);
    assert_eq!(again["data"], *data, "the same request has the same answer");
    let kept = format!("/api/generations/{}", meta["generationId"].as_str().unwrap());
    let found = world.get(&kept).await.ok(200);
    assert_eq!((&found["kind"], &found["data"]), (&json!("pricing"), data));
    let decided = world.call(Method::PATCH, &kept, &world.demo.key, json!({"status": "approved"})).await;
    assert_eq!(decided.ok(200)["items"]["approved"], 1);
}

#[tokio::test]
async fn a_history_alone_leads_to_a_test_and_a_test_that_sold_to_a_switch() {
    let world = World::start().await;
    let history = |tested: Value| {
        price_request(|wish| {
            let mut offers = vec![
                json!({"priceCents": 900, "offered": 600, "sold": 380}),
                json!({"priceCents": 1900, "offered": 200, "sold": 85}),
            ];
            offers.extend(tested.as_array().unwrap().clone());
            wish["offers"] = json!(offers);
        })
    };
    let test = world.post(TOOL, history(json!([]))).await.ok(200)["data"].clone();
    assert_eq!(test["recommendation"]["action"], "test");
    assert!(test["guardrails"].to_string().contains("untested"), "{test}");
    let tested = json!([{"priceCents": 1125, "offered": 200, "sold": 118}]);
    let switch = world.post(TOOL, history(tested)).await.ok(200)["data"]["recommendation"].clone();
    assert_eq!(
        (&switch["action"], &switch["priceCents"], &switch["offersNeeded"]),
        (&json!("switch"), &json!(1125), &json!(0))
    );
    assert_eq!(switch["allocation"], json!([{"priceCents": 1125, "sharePct": 100.0}]));
}

#[tokio::test]
async fn too_little_is_said_to_be_too_little() {
    let world = World::start().await;
    for (offers, guard) in [
        (json!([{"priceCents": 900, "offered": 5000, "sold": 3000}]), "one_price"),
        (
            json!([{"priceCents": 900, "offered": 20, "sold": 9}, {"priceCents": 1200, "offered": 9, "sold": 3}]),
            "few_offers",
        ),
    ] {
        let data =
            world.post(TOOL, price_request(|wish| wish["offers"] = offers)).await.ok(200)["data"].clone();
        assert_eq!(data["recommendation"]["action"], "test", "{data}");
        let unknown = [
            &data["estimate"]["optimalCents"],
            &data["estimate"]["interval90"],
            &data["recommendation"]["probabilityBetter"],
            &data["recommendation"]["expectedChangePct"],
        ];
        assert!(unknown.iter().all(|member| member.is_null()) && data["curve"] == json!([]), "{data}");
        assert_eq!(data["guardrails"][0]["code"], guard);
    }
    let (_, id) = create_creator(&world, "en").await;
    let nothing = world.post(TOOL, stored(&id)).await.problem(422, "insufficient_data");
    assert!(nothing["detail"].as_str().unwrap().contains("import"), "{nothing}");
    let none = json!([{"priceCents": 900, "offered": 0, "sold": 0}]);
    world.post(TOOL, price_request(|wish| wish["offers"] = none)).await.problem(422, "insufficient_data");
}

#[tokio::test]
async fn absurd_and_contradicting_numbers_are_named_with_their_pointer() {
    let world = World::start().await;
    for (pointer, value, expected) in [
        ("/product/feePct", json!(100), "must be from 0 to 99, is 100"),
        ("/product/feePct", json!(-1), "must be from 0 to 99, is -1"),
        ("/product/currentPriceCents", json!(0), "must be from 1 to 100000000, is 0"),
        ("/product/currentPriceCents", json!(9.5), "must be a whole number"),
        ("/product/currentPriceCents", json!(1e300), "must be a whole number"),
        ("/product/unitCostCents", json!(-5), "must be from 0"),
        ("/product/currency", json!("XAU"), "ISO 4217"),
        ("/product/currency", json!("usd"), "ISO 4217"),
        ("/product/type", json!("merch"), "unknown variant"),
        ("/offers/0/sold", json!(181), "must be at most `offered`, 180, is 181"),
        ("/offers/0/offered", json!(-180), "must be from 0 to 1000000000, is -180"),
        ("/offers/1/priceCents", json!(18_446_744_073_709_551_615_u64), "must be from 1"),
        ("/constraints/maxStepPct", json!(26), "must be from 1 to 25, is 26"),
        ("/constraints/minCents", json!(901), "must be at most the current price, 900, is 901"),
        ("/constraints/maxCents", json!(899), "must be at least the current price, 900, is 899"),
        ("/segment", json!(""), "at least 1 character"),
        ("/objective", json!("fame"), "unknown variant"),
        ("/seed", json!(-1), "expected u64"),
    ] {
        let mut body = price_request(|wish| {
            wish["segment"] = json!("all");
            wish["objective"] = json!("revenue");
            wish["seed"] = Value::Null;
        });
        *body.pointer_mut(pointer).unwrap() = value;
        let problem = world.post(TOOL, body).await.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], pointer, "{problem}");
        assert!(problem["fields"][0]["message"].as_str().unwrap().contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn what_is_no_number_or_too_much_is_refused() {
    let world = World::start().await;
    let raw = async |body: String| {
        let request = world.request(Method::POST, TOOL).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", world.demo.key)).body(body);
        Answer::of(request.send().await.expect("an answer")).await
    };
    for none in ["NaN", "Infinity", "1e999", "-1e999"] {
        let body = price_request(|_| {}).to_string().replace("\"sold\":84", &format!("\"sold\":{none}"));
        let problem = raw(body).await.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], "/offers/0/sold", "{problem}");
    }
    let arms = |count: u32| {
        (1..=count).map(|n| json!({"priceCents": n, "offered": 9, "sold": 1})).collect::<Vec<_>>()
    };
    let many = world.post(TOOL, price_request(|wish| wish["offers"] = json!(arms(201)))).await;
    assert_eq!(
        many.problem(400, "invalid_request")["fields"][0]["message"],
        "must have at most 200 items, has 201"
    );
    world
        .post(TOOL, price_request(|wish| wish["offers"] = json!(arms(10_000))))
        .await
        .problem(413, "payload_too_large");
    world.post(TOOL, price_request(|wish| wish["offers"] = json!(arms(200)))).await.ok(200);
    let nobody = stored("cr_01M81FWMPQ75XWQTJS706NQ0F8");
    assert_eq!(
        world.post(TOOL, nobody).await.problem(400, "invalid_request")["fields"][0]["pointer"],
        "/creatorId"
    );
    let missing = price_request(|wish| wish["offers"] = json!([]));
    assert_eq!(
        world.post(TOOL, missing).await.problem(400, "invalid_request")["fields"][0]["pointer"],
        "/offers"
    );
    let key = world.key(&["content:write"], "live").await;
    world.call(Method::POST, TOOL, &key, price_request(|_| {})).await.problem(403, "forbidden");
}

#[tokio::test]
async fn imported_offers_are_listed_replaced_and_weighed_by_their_age() {
    let world = World::start().await;
    let (path, id) = create_creator(&world, "fr").await;
    let (today, before) = (day(0), day(60));
    let rows = format!(
        "{before},message,all,USD,900,400,200\n{today},message,all,USD,900,200,100\n{today},message,all,USD,1125,200,90\n\
         {today},message,loyal,USD,900,50,40\n{today},message,all,USD,900,3,9\n{today},message,all,BTC,900,3,1\n"
    );
    let imported = import(&world, &path, &rows).await.ok(200);
    assert_eq!(imported["imported"], 4);
    let failed: Vec<_> = imported["failed"].as_array().unwrap().iter().map(|f| f["line"].clone()).collect();
    assert_eq!(failed, [6, 7], "{imported}");
    let first = world.get(&format!("{path}?limit=3")).await.ok(200);
    let next = format!("{path}?limit=3&cursor={}", first["nextCursor"].as_str().unwrap());
    let next = world.get(&next).await.ok(200);
    let listed = [&first["data"], &next["data"]].map(|page| page.as_array().unwrap().len());
    assert_eq!((listed, &next["hasMore"]), ([3, 1], &json!(false)));
    let n = async || world.post(TOOL, stored(&id)).await.ok(200)["data"]["estimate"]["n"].as_u64().unwrap();
    // Half of the 400 of sixty days ago, and all of today's 400: 600 less what the hours of today take, 1.15 % at most.
    assert!((593..=600).contains(&n().await), "{}", n().await);
    let answer = world.post(TOOL, stored(&id)).await.ok(200);
    assert!(
        answer["data"]["explanation"].as_str().unwrap().contains("offres"),
        "in the creator's language: {answer}"
    );
    assert_eq!(answer["data"]["estimate"]["pooled"], 1, "the loyal fans are a product beside");
    let mut loyal = stored(&id);
    loyal["segment"] = json!("loyal");
    let loyal = world.post(TOOL, loyal).await.ok(200)["data"].clone();
    assert_eq!((&loyal["estimate"]["n"], &loyal["disclosureRequired"]), (&json!(50), &json!(true)));
    // Sent again, a line replaces itself; nothing offered takes it back.
    import(&world, &path, &format!("{today},message,all,USD,900,200,100\n")).await.ok(200);
    assert!((593..=600).contains(&n().await), "{}", n().await);
    import(&world, &path, &format!("{today},message,all,USD,900,0,0\n{before},message,all,USD,900,0,0\n"))
        .await
        .ok(200);
    assert!((197..=200).contains(&n().await), "{}", n().await);
    let other = world.other_tenant().await;
    world.call(Method::GET, &path, &other.key, Value::Null).await.problem(404, "not_found");
    let foreign =
        world.call(Method::POST, TOOL, &other.key, stored(&id)).await.problem(400, "invalid_request");
    assert_eq!(foreign["fields"][0]["pointer"], "/creatorId");
}

#[tokio::test]
async fn imports_of_one_product_at_once_forget_none_of_their_offers() {
    let world = World::start().await;
    let (path, id) = create_creator(&world, "en").await;
    let today = day(0);
    let one = |n: u32| format!("{today},bundle,all,EUR,{},{},{}\n", 1000 + n * 100, 100, 50);
    let rows: Vec<String> = (0..6).map(one).collect();
    let imports = rows.iter().map(|row| import(&world, &path, row));
    for answer in futures_util::future::join_all(imports).await {
        // Who loses the race too often is told so, and sends the line again.
        if answer.status != 200 {
            answer.problem(409, "conflict");
        }
    }
    let mut wish = stored(&id);
    wish["product"] = json!({"type": "bundle", "currentPriceCents": 1000, "currency": "EUR"});
    let estimate = world.post(TOOL, wish).await.ok(200)["data"]["estimate"].clone();
    assert_eq!(estimate["prices"], 6, "{estimate}");
}

#[tokio::test]
async fn imports_that_cannot_be_read_are_refused_with_their_reason() {
    let world = World::start().await;
    let (path, _) = create_creator(&world, "en").await;
    let today = day(0);
    let many: String = (0..21).map(|n| format!("{today},message,s{n},USD,900,1,0\n")).collect();
    let many = import(&world, &path, &many).await.problem(400, "invalid_request");
    assert!(many["detail"].as_str().unwrap().contains("21 combinations"), "{many}");
    assert_eq!(world.get(&path).await.ok(200)["data"], json!([]), "nothing of it was stored");
    let request = world.request(Method::POST, &path).header("content-type", "text/csv");
    let request = request.header("authorization", format!("Bearer {}", world.demo.key)).body("day,sold\n");
    let header = Answer::of(request.send().await.expect("an answer")).await.problem(400, "invalid_request");
    assert!(header["detail"].as_str().unwrap().contains("`productType`"), "{header}");
    let nobody = "/api/creators/cr_01M81FWMPQ75XWQTJS706NQ0F8/offers";
    import(&world, nobody, &format!("{today},message,all,USD,900,1,0\n")).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_assistant_appraises_what_is_offered_most() {
    let world = World::start().await;
    let (path, id) = create_creator(&world, "en").await;
    let talk = json!({"creatorId": id, "messages": [{"role": "user", "content": "Which price?"}], "tools": ["pricing-optimizer"]});
    let nothing = world.post("/api/ai-assistant/generate", talk.clone()).await.ok(200);
    assert_eq!(nothing["data"]["toolCalls"][0]["status"], "failed", "{nothing}");
    let today = day(0);
    let rows = format!(
        "{today},bundle,all,EUR,2000,40,20\n{today},message,all,EUR,900,600,380\n{today},message,all,EUR,1500,300,150\n"
    );
    import(&world, &path, &rows).await.ok(200);
    let answer = world.post("/api/ai-assistant/generate", talk.clone()).await.ok(200);
    let said = answer["data"]["message"]["content"].as_str().unwrap();
    assert!(
        said.contains("Test EUR\u{a0}11.25") && said.contains("offers the best price is about EUR"),
        "{said}"
    );
    let streamed = text_of(&streamed(&world, &talk).await);
    assert!(streamed.contains("Test EUR\u{a0}11.25"), "{streamed}");
    let used = &answer["data"]["toolCalls"][0];
    assert_eq!(used["status"], "ok");
    let kept = world.get(&format!("/api/generations/{}", used["resultRef"].as_str().unwrap())).await.ok(200);
    assert_eq!(kept["kind"], "pricing");
    let key = world.key(&["assistant:write"], "live").await;
    let talk = json!({"creatorId": id, "messages": [{"role": "user", "content": "?"}], "tools": ["pricing-optimizer"]});
    world.call(Method::POST, "/api/ai-assistant/generate", &key, talk).await.problem(403, "forbidden");
}

#[tokio::test]
async fn thompson_sampling_is_told_as_shares_and_only_on_request() {
    let world = World::start().await;
    let ladder = world.post(TOOL, price_request(|_| {})).await.ok(200)["data"]["recommendation"].clone();
    let thompson =
        world.post(TOOL, price_request(|wish| wish["policy"] = json!("thompson"))).await.ok(200)["data"]
            .clone();
    assert_eq!(ladder["allocation"].as_array().unwrap().len(), 2);
    let shares = thompson["recommendation"]["allocation"].as_array().unwrap();
    assert!(shares.len() > 2, "{thompson}");
    let sum: f64 = shares.iter().map(|share| share["sharePct"].as_f64().unwrap()).sum();
    assert!((sum - 100.0).abs() < 0.5, "{shares:?}");
    let seeded =
        world.post(TOOL, price_request(|wish| wish["seed"] = json!(9))).await.ok(200)["data"]["curve"]
            .clone();
    assert_ne!(seeded, world.post(TOOL, price_request(|_| {})).await.ok(200)["data"]["curve"]);
}
