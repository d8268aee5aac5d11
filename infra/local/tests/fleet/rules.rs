//! Every script against its model in Rust, over random schedules. Times are arguments; nobody sleeps.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use shared::contract::ids::TenantId;
use shared::contract::{Dependency, LimitPolicy};
use shared::fleet::breaker::{
    self, Breaker, BreakerConfig, BreakerMode, BreakerReport, BreakerState, CALLERS_KEY, RecentTenants,
    Witness,
};
use shared::fleet::bulkhead::{BulkheadState, BulkheadStep, Slot};
use shared::fleet::gate::{Gate, GateAnswer, GateQuestion};
use shared::fleet::limits::{Algorithm, Limit, LimitCount as Count, LimitStep};
use shared::redis::{Redis, Value};

use crate::{Database, soon};

const BEGIN_US: u64 = 1_795_000_000_000_000;
const ALL: [Algorithm; 4] =
    [Algorithm::Gcra, Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket];

/// Runs `check` for many inputs; each gets a name of its own in the database.
pub fn for_many<T: std::fmt::Debug>(
    inputs: impl Strategy<Value = T>,
    check: impl AsyncFn(&Database, &Redis, String, T),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (database, redis) = runtime.block_on(async {
        let database = Database::start().await;
        let redis = database.environment();
        (database, redis)
    });
    let number = std::cell::Cell::new(0);
    let runs = Runs { cases: 60, failure_persistence: None, ..Runs::default() };
    TestRunner::new(runs)
        .run(&inputs, |input| {
            number.set(number.get() + 1);
            runtime.block_on(check(&database, &redis, format!("case-{}", number.get()), input));
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_gate_counts_as_the_rules_say_and_a_denied_call_takes_nothing() {
    let limit = (prop::sample::select(&ALL[..]), 1u32..12, 1u64..30);
    let call = (0u64..4_000_000, 0u64..4);
    let inputs = (prop::collection::vec(limit, 1..4), prop::collection::vec(call, 1..40));
    for_many(inputs, async |database, _, name, (limits, calls)| {
        let gate = Gate::new(database.environment(), Duration::from_secs(3600));
        let limits: Vec<Limit> = limits
            .into_iter()
            .enumerate()
            .map(|(i, (by, quota, secs))| {
                Limit::new(LimitPolicy::Caller, by, quota, Duration::from_secs(secs), &format!("{name}-{i}"))
            })
            .collect();
        let mut counts: Vec<Option<Count>> = vec![None; limits.len()];
        let mut now = BEGIN_US;
        for (gap, cost) in calls {
            now += gap;
            let asked = GateQuestion { limits: &limits, cost: Some(cost), ..GateQuestion::default() };
            let steps: Vec<_> = limits
                .iter()
                .zip(&counts)
                .map(|(limit, count)| limit.rule().step(*count, now, cost))
                .collect();
            let admits = cost == 0 || steps.iter().all(|step| step.wait_us == 0);
            let expected: Vec<_> = limits
                .iter()
                .zip(&steps)
                .zip(&counts)
                .map(|((limit, step), count)| {
                    if admits {
                        limit.status(&LimitStep { wait_us: 0, ..*step })
                    } else {
                        let looked = limit.rule().step(*count, now, 0);
                        limit.status(&LimitStep { wait_us: step.wait_us, ..looked })
                    }
                })
                .collect();
            match gate.ask_at(&asked, Some(now), soon()).await {
                GateAnswer::Admitted(passed) => assert_eq!((true, passed.limits), (admits, expected)),
                GateAnswer::Denied(statuses) => assert_eq!((false, statuses), (admits, expected)),
                other => panic!("{other:?}"),
            }
            if admits && cost > 0 {
                for (count, step) in counts.iter_mut().zip(&steps) {
                    *count = Some(step.state);
                }
            }
        }
    });
}

#[derive(Debug, Clone)]
enum BreakerStep {
    Asks {
        tenant: u128,
    },
    Reports {
        tenant: u128,
        age: u64,
        permit: usize,
        calls: u64,
        failed: u64,
        slow: u64,
    },
    /// A tenant calls, as the gate notes it.
    Calls {
        tenant: u128,
    },
}

const CONFIG: BreakerConfig = BreakerConfig {
    bucket_us: 1_000_000,
    buckets: 5,
    calls_min: 4,
    failure_pct: 50,
    slow_pct: 60,
    slow_us: 1,
    slow_us_per_token: 0,
    open_us: 2_000_000,
    open_max_us: 9_000_000,
    permits: 2,
    passes: 2,
    ramp_us: 3_000_000,
};

/// A few tenants, and the fleet itself.
fn witness(tenant: u128) -> Witness {
    if tenant == 0 { Witness::FLEET } else { Witness::of(TenantId::from_bytes(tenant.to_be_bytes())) }
}

#[test]
fn the_breakers_script_moves_as_its_rule_says() {
    let report = (0u128..6, 0u64..2, 0usize..6, 0u64..4, 0u64..3, 0u64..3);
    let did = prop_oneof![
        1 => (0u128..6).prop_map(|tenant| BreakerStep::Asks { tenant }),
        1 => (1u128..6).prop_map(|tenant| BreakerStep::Calls { tenant }),
        3 => report.prop_map(|(tenant, age, permit, calls, failed, slow)| BreakerStep::Reports { tenant, age, permit, calls, failed, slow }),
    ];
    let mode = prop::sample::select(vec!["", "", "", "metrics_only", "forced_open", "forced_closed"]);
    let inputs = (mode, prop::collection::vec((0u64..2_500_000, did), 1..60));
    for_many(inputs, async |_, redis, name, (mode, events)| {
        let keys = [format!("b:{name}"), format!("b:{name}:mode"), format!("b:{name}:callers")];
        if !mode.is_empty() {
            redis.command("SET", &[&keys[1], mode], soon()).await.unwrap();
        }
        let parsed = BreakerMode::parse(mode);
        let mut callers = RecentTenants::default();
        let (mut model, mut now, mut permits) = (BreakerState::default(), BEGIN_US, Vec::<u64>::new());
        for (i, (gap, did)) in events.into_iter().enumerate() {
            now += gap;
            let (what, report, granted) = match did {
                BreakerStep::Calls { tenant } => {
                    callers.note(witness(tenant).number(), now, CONFIG.window_us());
                    redis.command("SET", &[&keys[2], &callers.text()], soon()).await.unwrap();
                    continue;
                }
                BreakerStep::Asks { tenant } => {
                    let (permit, witness) = (i as u64 + 1, witness(tenant));
                    let granted = model.ask(&CONFIG, parsed, now, (permit, witness), 1_500_000);
                    if granted {
                        permits.push(permit);
                    }
                    let asked = BreakerReport { permit: Some(permit), witness, ..BreakerReport::default() };
                    ("ask", asked, granted)
                }
                BreakerStep::Reports { tenant, age, permit, calls, failed, slow } => {
                    let version = model.version.saturating_sub(age);
                    let permit = permits.iter().rev().nth(permit).copied();
                    let witness = witness(tenant);
                    let report = BreakerReport { version, permit, witness, calls, failed, slow, jitter: 100 };
                    model.report(&CONFIG, parsed, now, report, &callers);
                    ("report", report, false)
                }
            };
            let args = CONFIG.script_args(now, what, report, 1_500_000);
            let answer = redis.run(Breaker::script(), &keys, &args, soon()).await.unwrap();
            assert_eq!(answer[1], Value::Int(i64::from(granted)), "{what} {report:?}");
            let state = answer[2].text().unwrap();
            assert_eq!(
                (state, &BreakerState::parse(state)),
                (model.text().as_str(), &model),
                "{what} {report:?}"
            );
        }
    });
}

#[test]
fn the_gate_notes_who_calls_what_is_behind_breakers_as_the_rule_says() {
    let inputs = prop::collection::vec((0u64..12_000_000, 1u128..7, 0u64..3), 1..60);
    for_many(inputs, async |database, redis, name, calls| {
        redis.command("DEL", &[CALLERS_KEY], soon()).await.unwrap();
        let gate = Gate::new(database.environment(), Duration::from_secs(3600));
        let breaker = Breaker::new(Dependency::Ai, "r", &name, breaker::AI, database.environment());
        let (breaker, window) = (Arc::new(breaker), breaker::AI.window_us());
        let (mut model, mut now) = (RecentTenants::default(), BEGIN_US);
        for (gap, tenant, cost) in calls {
            now += gap;
            let witness = witness(tenant);
            if cost > 0 && model.lacks(witness.number(), now, window) {
                model.note(witness.number(), now, window);
            }
            let asked = GateQuestion {
                cost: Some(cost),
                breakers: vec![&breaker],
                witness: Some(witness),
                ..GateQuestion::default()
            };
            assert!(matches!(gate.ask_at(&asked, Some(now), soon()).await, GateAnswer::Admitted(_)));
            let stored = redis.command("GET", &[CALLERS_KEY], soon()).await.unwrap();
            assert_eq!(stored.text().unwrap_or_default(), model.text());
        }
    });
}

#[test]
fn the_gate_gives_slots_as_the_rule_says() {
    // The gap before the call, its lease, which of the latest slots have ended, and whether it is sent twice. In true
    // time, by which the key expires, all of it takes less than the shortest lease.
    let call =
        (0u64..90_000_000, 60u64..600, prop::collection::vec(0usize..12, 0..4), prop::bool::weighted(0.1));
    let inputs = (1u32..4, prop::collection::vec(call, 1..60));
    for_many(inputs, async |database, redis, name, (calls, asked)| {
        let gate = Gate::new(database.environment(), Duration::from_secs(3600));
        let (mut model, mut now, mut slots) = (BulkheadState::default(), BEGIN_US, Vec::<Slot>::new());
        // The slots that have ended, and that no call which took one has given back yet.
        let mut waiting = Vec::new();
        for (gap, lease_secs, ended, is_twice) in asked {
            now += gap;
            let lease = Duration::from_secs(lease_secs);
            let slot = Slot::new(&name, calls, soon()).with_lease(lease);
            for back in ended {
                let Some(ended) = slots.iter().rev().nth(back) else { continue };
                waiting.push(ended.number());
                drop(gate.hold(ended.clone(), false));
            }
            for _ in 0..=usize::from(is_twice) {
                let question = GateQuestion { cost: Some(1), slot: Some(&slot), ..GateQuestion::default() };
                let told = gate.ask_at(&question, Some(now), soon()).await;
                match (told, model.enter(now, slot.number(), calls.into(), lease_secs * 1_000_000, &waiting))
                {
                    (GateAnswer::Admitted(pass), BulkheadStep::Held { is_spare }) => {
                        assert_eq!(pass.held, Some(is_spare));
                        waiting.clear();
                    }
                    (GateAnswer::Full { wait, .. }, BulkheadStep::Full { wait_us }) => {
                        assert_eq!(wait, Duration::from_micros(wait_us));
                    }
                    (told, step) => panic!("{told:?} {step:?}"),
                }
                let stored = redis.command("GET", &[slot.key()], soon()).await.unwrap();
                let text: Vec<String> = model.0.iter().flatten().map(u64::to_string).collect();
                assert_eq!(stored.text().unwrap_or_default(), text.join(" "));
            }
            slots.push(slot);
        }
    });
}
