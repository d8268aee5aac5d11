//! How many calls of one tenant run at once, over environments that share nothing but Redis.

use std::time::Duration;

use local::wait::until;
use shared::clock::Deadline;
use shared::contract::{LimitPolicy, Plan};
use shared::fleet::bulkhead::{HeldSlot, Slot};
use shared::fleet::gate::{Gate, GateAnswer, GateQuestion};
use shared::fleet::limits::{Algorithm, Limit};

use crate::{Database, soon};

const HOUR: Duration = Duration::from_secs(3600);

fn calls() -> usize {
    Plan::Free.calls_at_once() as usize
}

fn slot(tenant: &str) -> Slot {
    Slot::new(tenant, Plan::Free.calls_at_once(), Deadline::after(HOUR))
}

/// Asks for a slot; nothing where the bulkhead is full.
async fn enter(gate: &Gate, slot: Slot) -> Option<HeldSlot> {
    let asked = GateQuestion { cost: Some(1), slot: Some(&slot), ..GateQuestion::default() };
    match gate.ask(&asked, soon()).await {
        GateAnswer::Admitted(pass) => Some(gate.hold(slot, pass.held.expect("a slot"))),
        GateAnswer::Full { wait, .. } => {
            assert!(!wait.is_zero());
            None
        }
        other => panic!("{other:?}"),
    }
}

fn fleet(database: &Database, environments: usize) -> Vec<Gate> {
    (0..environments).map(|_| Gate::new(database.environment(), HOUR)).collect()
}

#[tokio::test]
async fn of_forty_calls_at_once_ten_run_and_another_tenant_does_not_notice() {
    let database = Database::start().await;
    let fleet = fleet(&database, 40);
    let held = futures_util::future::join_all(fleet.iter().map(|gate| enter(gate, slot("a")))).await;
    let held: Vec<_> = held.into_iter().flatten().collect();
    assert_eq!(held.len(), 2 * calls());
    assert!(enter(&fleet[0], slot("b")).await.is_some());
    for slot in held {
        slot.leave().await;
    }
    // What was given back at once is free; what waits for the next trip of its environment may still count.
    let again = futures_util::future::join_all(fleet.iter().map(|gate| enter(gate, slot("a")))).await;
    assert!(again.into_iter().flatten().count() >= calls());
}

#[tokio::test]
async fn a_tenant_is_never_refused_while_fewer_calls_run_than_its_plan_promises() {
    let database = Database::start().await;
    // Each call in an environment of its own, so that no later trip gives a slot back.
    for round in 0..6 {
        let fleet = fleet(&database, calls());
        let mut held = Vec::new();
        for (number, gate) in fleet.iter().enumerate() {
            let slot = enter(gate, slot("a")).await;
            held.push(slot.unwrap_or_else(|| panic!("call {number} of round {round} is refused")));
        }
        for slot in held {
            slot.leave().await;
        }
    }
}

#[tokio::test]
async fn a_slot_is_given_back_with_the_next_trip_of_its_environment_and_costs_no_command_of_its_own() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    // The first trip of a process tells its metrics and teaches the script.
    enter(&gate, slot("warm")).await.expect("a slot").leave().await;
    enter(&gate, slot("a")).await.expect("a slot").leave().await;
    for _ in 0..4 * calls() {
        let (billed, trips) = (database.upstash.billed().await.unwrap(), database.upstash.requests());
        enter(&gate, slot("a")).await.expect("never more than one").leave().await;
        let (billed, trips) =
            (database.upstash.billed().await.unwrap() - billed, database.upstash.requests() - trips);
        assert_eq!((billed, trips), (4, 1), "EVALSHA, TIME, MGET, SET slots");
    }
    let stored = database.environment().command("GET", &[slot("a").key()], soon()).await.unwrap();
    assert_eq!(stored.text().unwrap().split(' ').count(), 2, "the last one: {stored:?}");
}

#[tokio::test]
async fn slots_of_another_tenant_are_given_back_too_and_those_of_an_ending_environment() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let redis = database.environment();
    let are_held =
        async |tenant| redis.command("GET", &[slot(tenant).key()], soon()).await.unwrap().text().is_some();
    enter(&gate, slot("a")).await.expect("a slot").leave().await;
    assert!(are_held("a").await, "until the next trip");
    enter(&gate, slot("b")).await.expect("a slot").leave().await;
    assert!(!are_held("a").await);
    gate.flush(soon()).await.unwrap();
    assert!(!are_held("b").await);
}

#[tokio::test]
async fn slots_of_killed_environments_come_back_when_their_leases_end() {
    let database = Database::start().await;
    let fleet = fleet(&database, 2 * calls() + 1);
    for gate in &fleet[..2 * calls()] {
        // A killed environment runs nothing any more, not even a destructor.
        let killed = enter(gate, slot("a").with_lease(Duration::from_millis(600))).await;
        std::mem::forget(killed.expect("a slot"));
    }
    let next = &fleet[2 * calls()];
    assert!(enter(next, slot("a")).await.is_none());
    let key = slot("a");
    let ttl = database.environment().command("PTTL", &[key.key()], soon()).await.unwrap().int().unwrap();
    assert!((1..=600).contains(&ttl), "no longer than its leases: {ttl}");
    until("the leases end", async || enter(next, slot("a")).await.is_some()).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_dropped_gives_its_slot_back_with_the_next_trip() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    for _ in 0..6 * calls() {
        drop(enter(&gate, slot("a")).await.expect("a slot: whoever left holds none"));
    }
}

#[tokio::test]
async fn a_trip_that_is_sent_twice_holds_one_slot_and_a_refused_call_counts_nothing() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let limits = [Limit::new(LimitPolicy::Caller, Algorithm::Gcra, 100, HOUR, "a")];
    let ask = async |slot: &Slot| {
        let asked =
            GateQuestion { limits: &limits, cost: Some(1), slot: Some(slot), ..GateQuestion::default() };
        gate.ask(&asked, soon()).await
    };
    let slots: Vec<Slot> = (0..2 * calls()).map(|_| slot("a")).collect();
    for slot in slots.iter().chain(&slots) {
        let GateAnswer::Admitted(pass) = ask(slot).await else { panic!("it has its slot") };
        assert!(pass.held.is_some());
    }
    for _ in 0..3 {
        let GateAnswer::Full { limits, wait } = ask(&slot("a")).await else { panic!("it is full") };
        assert_eq!(limits[0].remaining, 80, "20 trips, and no refused one");
        assert!(wait <= HOUR + Duration::from_secs(1));
    }
}
