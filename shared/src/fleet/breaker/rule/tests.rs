//! What the rule of a breaker guarantees.

use super::*;
use crate::contract::ids::TenantId;

const SECOND: u64 = 1_000_000;
const CONFIG: BreakerConfig = BreakerConfig {
    bucket_us: SECOND,
    buckets: 10,
    calls_min: 4,
    failure_pct: 50,
    slow_pct: 80,
    slow_us: SECOND,
    slow_us_per_token: 0,
    open_us: 5 * SECOND,
    open_max_us: 60 * SECOND,
    permits: 2,
    passes: 2,
    ramp_us: 10 * SECOND,
};

/// A tenant with this number.
fn tenant(number: u128) -> Witness {
    Witness::of(TenantId::from_bytes(number.to_be_bytes()))
}

fn calls(state: &BreakerState, calls: u64, failed: u64, slow: u64) -> BreakerReport {
    calls_of(tenant(1), state, calls, failed, slow)
}

fn calls_of(witness: Witness, state: &BreakerState, calls: u64, failed: u64, slow: u64) -> BreakerReport {
    BreakerReport { version: state.version, witness, calls, failed, slow, ..BreakerReport::default() }
}

/// A report on a stage where nobody else is known to call.
fn report(state: &mut BreakerState, mode: BreakerMode, now: u64, report: BreakerReport) {
    state.report(&CONFIG, mode, now, report, &RecentTenants::default());
}

fn ask(state: &mut BreakerState, now: u64, permit: u64, lease_us: u64) -> bool {
    state.ask(&CONFIG, BreakerMode::Normal, now, (permit, tenant(permit.into())), lease_us)
}

fn opened(now: u64) -> BreakerState {
    let mut state = BreakerState::default();
    report(&mut state, BreakerMode::Normal, now, calls(&BreakerState::default(), 4, 4, 0));
    assert_eq!(state.phase, BreakerPhase::Open);
    state
}

#[test]
fn it_opens_at_the_failure_rate_and_not_before_enough_calls() {
    let mut state = BreakerState::default();
    let fresh = BreakerState::default();
    report(&mut state, BreakerMode::Normal, 0, calls(&fresh, 3, 3, 0));
    assert_eq!(state.phase, BreakerPhase::Closed, "three calls are too few to judge");
    report(&mut state, BreakerMode::Normal, 0, calls(&fresh, 5, 0, 0));
    assert_eq!(state.phase, BreakerPhase::Closed, "3 of 8");
    report(&mut state, BreakerMode::Normal, 0, calls(&fresh, 2, 2, 0));
    assert_eq!(state.phase, BreakerPhase::Open, "5 of 10");
}

#[test]
fn slow_calls_open_it_and_old_ones_are_forgotten() {
    let mut state = BreakerState::default();
    let fresh = BreakerState::default();
    report(&mut state, BreakerMode::Normal, 0, calls(&fresh, 3, 0, 3));
    report(&mut state, BreakerMode::Normal, 11 * SECOND, calls(&fresh, 1, 0, 1));
    assert_eq!(state.phase, BreakerPhase::Closed, "the window has moved on");
    report(&mut state, BreakerMode::Normal, 11 * SECOND, calls(&fresh, 4, 0, 3));
    assert_eq!(state.phase, BreakerPhase::Open);
}

#[test]
fn open_times_double_and_a_closed_ramp_begins_anew() {
    let mut state = opened(0);
    assert_eq!(state.view(BreakerMode::Normal, SECOND), BreakerView::Refuse(4 * SECOND));
    let mut now = 0;
    for expected in [10, 20, 40, 60, 60] {
        now = state.until_us;
        assert!(ask(&mut state, now, 7, SECOND));
        report(
            &mut state,
            BreakerMode::Normal,
            now,
            BreakerReport { permit: Some(7), failed: 1, ..BreakerReport::default() },
        );
        assert_eq!(state.until_us - now, expected * SECOND);
    }
    now = state.until_us.max(now);
    for permit in [1, 2] {
        assert!(ask(&mut state, now, permit, SECOND));
        report(
            &mut state,
            BreakerMode::Normal,
            now,
            BreakerReport { permit: Some(permit), calls: 1, ..BreakerReport::default() },
        );
    }
    assert_eq!(
        (state.phase, state.view(BreakerMode::Normal, now)),
        (BreakerPhase::Ramp, BreakerView::Fraction(100))
    );
    assert_eq!(state.view(BreakerMode::Normal, now + 5 * SECOND), BreakerView::Fraction(550));
    assert_eq!(state.view(BreakerMode::Normal, now + 10 * SECOND), BreakerView::Pass);
    let success = calls(&state, 1, 0, 0);
    report(&mut state, BreakerMode::Normal, now + 10 * SECOND, success);
    assert_eq!((state.phase, state.openings), (BreakerPhase::Closed, 0));
}

#[test]
fn a_permit_that_never_comes_back_is_lent_again_after_its_deadline() {
    let mut state = opened(0);
    let due = state.until_us;
    assert!(ask(&mut state, due, 1, 3 * SECOND));
    assert!(ask(&mut state, due, 2, 3 * SECOND));
    assert!(!ask(&mut state, due + SECOND, 3, 3 * SECOND));
    assert!(ask(&mut state, due + 3 * SECOND, 3, 3 * SECOND));
    let before = state.clone();
    report(
        &mut state,
        BreakerMode::Normal,
        due + 3 * SECOND,
        BreakerReport { permit: Some(1), failed: 1, ..BreakerReport::default() },
    );
    assert_eq!(state, before, "whoever is late has lost the right to judge");
}

#[test]
fn what_began_before_a_transition_counts_for_nothing() {
    let mut state = opened(0);
    let before = state.clone();
    report(&mut state, BreakerMode::Normal, SECOND, BreakerReport { calls: 9, ..BreakerReport::default() });
    assert_eq!(state, before);
    let due = state.until_us;
    ask(&mut state, due, 1, SECOND);
    let half_open = state.clone();
    report(
        &mut state,
        BreakerMode::Normal,
        half_open.since_us,
        BreakerReport { calls: 1, failed: 1, ..BreakerReport::default() },
    );
    assert_eq!(state, half_open, "a straggler neither opens nor closes it");
}

#[test]
fn an_operator_overrules_the_rule() {
    let state = opened(0);
    assert_eq!(state.view(BreakerMode::ForcedClosed, 1), BreakerView::Pass);
    assert_eq!(state.view(BreakerMode::MetricsOnly, 1), BreakerView::Pass);
    assert!(matches!(BreakerState::default().view(BreakerMode::ForcedOpen, 1), BreakerView::Refuse(_)));
    let mut counted = BreakerState::default();
    report(&mut counted, BreakerMode::MetricsOnly, 0, calls(&BreakerState::default(), 9, 9, 0));
    assert_eq!((counted.phase, counted.window()), (BreakerPhase::Closed, [9, 9, 0]));
}

#[test]
fn what_is_stored_is_read_back() {
    let mut state = opened(12);
    let due = state.until_us;
    ask(&mut state, due, 5, 9);
    assert_eq!(BreakerState::parse(&state.text()), state);
    let mut counted = BreakerState::default();
    report(&mut counted, BreakerMode::Normal, 5 * SECOND, calls(&BreakerState::default(), 3, 1, 1));
    assert_eq!(BreakerState::parse(&counted.text()), counted);
    assert_eq!(BreakerState::parse("nonsense"), BreakerState::default());
}

#[test]
fn one_tenant_whose_every_call_is_slow_opens_it_for_nobody_else() {
    let mut state = BreakerState::default();
    let mut callers = RecentTenants::default();
    for number in 1..=3 {
        callers.note(tenant(number).number(), 0, CONFIG.window_us());
    }
    let slow = |state: &mut BreakerState, number: u128| {
        let fresh = BreakerState::default();
        state.report(&CONFIG, BreakerMode::Normal, 0, calls_of(tenant(number), &fresh, 6, 0, 6), &callers);
        state.phase
    };
    assert_eq!(slow(&mut state, 1), BreakerPhase::Closed);
    assert_eq!(slow(&mut state, 1), BreakerPhase::Closed, "again and again");
    assert_eq!(slow(&mut state, 2), BreakerPhase::Closed, "two of three");
    assert_eq!(slow(&mut state, 3), BreakerPhase::Open, "all three saw it");
}

#[test]
fn where_fewer_than_three_tenants_call_all_of_them_must_have_seen_it() {
    let mut callers = RecentTenants::default();
    callers.note(tenant(2).number(), 0, CONFIG.window_us());
    let fresh = BreakerState::default();
    let mut state = BreakerState::default();
    let failed = |number| calls_of(tenant(number), &fresh, 4, 4, 0);
    state.report(&CONFIG, BreakerMode::Normal, 0, failed(1), &callers);
    assert_eq!(state.phase, BreakerPhase::Closed);
    let mut both = state.clone();
    both.report(&CONFIG, BreakerMode::Normal, 0, failed(2), &callers);
    assert_eq!(both.phase, BreakerPhase::Open);
    state.report(&CONFIG, BreakerMode::Normal, CONFIG.window_us(), failed(1), &callers);
    assert_eq!(state.phase, BreakerPhase::Open, "the other has called nobody within the window");
}

#[test]
fn a_tenant_has_one_permit_at_a_time_and_the_fleet_has_as_many_as_there_are() {
    let mut state = opened(0);
    let due = state.until_us;
    let mut ask =
        |permit: u64, witness| state.ask(&CONFIG, BreakerMode::Normal, due, (permit, witness), 3 * SECOND);
    assert!(ask(1, tenant(1)));
    assert!(!ask(2, tenant(1)), "the rest is for others");
    assert!(ask(3, tenant(2)));
    assert!(!ask(4, tenant(3)), "there are two");
    let mut state = opened(0);
    for permit in [1, 2] {
        assert!(state.ask(&CONFIG, BreakerMode::Normal, due, (permit, Witness::FLEET), SECOND));
    }
}

#[test]
fn a_trial_that_says_nothing_gives_its_permit_back_and_judges_nothing() {
    let mut state = opened(0);
    let due = state.until_us;
    for permit in 1..=20 {
        assert!(ask(&mut state, due, permit, 3 * SECOND), "the {permit}th 401 in a row");
        let ignored =
            BreakerReport { permit: Some(permit), witness: tenant(permit.into()), ..calls(&state, 0, 0, 0) };
        report(&mut state, BreakerMode::Normal, due, ignored);
        assert_eq!((state.phase, state.passed), (BreakerPhase::HalfOpen, 0));
    }
}

#[test]
fn a_slow_trial_of_one_tenant_leaves_the_others_theirs() {
    let mut state = opened(0);
    let due = state.until_us;
    assert!(ask(&mut state, due, 1, 9 * SECOND));
    assert!(ask(&mut state, due, 2, 9 * SECOND));
    let of = |permit: u64, calls, slow| BreakerReport {
        permit: Some(permit),
        witness: tenant(permit.into()),
        calls,
        slow,
        ..BreakerReport::default()
    };
    report(&mut state, BreakerMode::Normal, due, of(1, 1, 1));
    assert_eq!((state.phase, state.leases.len()), (BreakerPhase::HalfOpen, 2), "it still runs");
    report(&mut state, BreakerMode::Normal, due, of(2, 1, 0));
    assert_eq!((state.phase, state.passed), (BreakerPhase::HalfOpen, 1));
    report(&mut state, BreakerMode::Normal, due, of(1, 0, 0));
    assert_eq!((state.leases.len(), state.passed), (0, 1), "it has ended, and is no success");
    let mut alone = opened(0);
    assert!(ask(&mut alone, due, 1, 9 * SECOND));
    report(&mut alone, BreakerMode::Normal, due, of(1, 1, 1));
    assert_eq!(alone.phase, BreakerPhase::Open, "nobody else is there");
}

#[test]
fn what_the_fleet_sees_itself_needs_no_second_witness() {
    let mut callers = RecentTenants::default();
    for number in 1..=3 {
        callers.note(tenant(number).number(), 0, CONFIG.window_us());
    }
    let mut state = opened(0);
    let due = state.until_us;
    callers.note(tenant(4).number(), due, CONFIG.window_us());
    assert!(state.ask(&CONFIG, BreakerMode::Normal, due, (1, Witness::FLEET), SECOND));
    let failed = BreakerReport { permit: Some(1), calls: 1, failed: 1, ..BreakerReport::default() };
    state.report(&CONFIG, BreakerMode::Normal, due, failed, &callers);
    assert_eq!(state.phase, BreakerPhase::Open);
}
