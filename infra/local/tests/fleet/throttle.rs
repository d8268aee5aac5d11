//! The throttle of sign-in: its scripts against a model in Rust, and what they do to attacks and to offices.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use shared::clock::Millis;
use shared::fleet::throttle::{ACCOUNT_RULE, ADDRESS_RULE, AttemptRule, AttemptVerdict, Attempts};
use shared::redis::Redis;

use crate::rules::for_many;
use crate::{Database, soon};

const BEGIN: Millis = Millis(1_795_000_000_000);
const MINUTE: u64 = 60_000;

/// The attempts that one counter knows.
#[derive(Debug, Default)]
struct Count {
    by_account: BTreeMap<usize, u64>,
    until: u64,
    ends: u64,
}

impl Count {
    fn attempts(&self) -> u64 {
        self.by_account.values().sum()
    }

    /// The time to wait until the next attempt.
    fn wait(&mut self, now: u64) -> u64 {
        if self.ends <= now {
            *self = Self::default();
        }
        self.until.saturating_sub(now)
    }

    /// Counts an attempt and says whether it is the last.
    fn count(&mut self, rule: &AttemptRule, account: usize, now: u64) -> bool {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
        *self.by_account.entry(account).or_default() += 1;
        if self.ends == 0 || rule.is_renewed {
            self.ends = now + ms(rule.life);
        }
        let attempts = self.attempts();
        if rule.attempts_max.is_some_and(|max| attempts >= max) {
            self.until = self.ends;
            return true;
        }
        if let Some(over) = attempts.checked_sub(rule.free) {
            let delay = ms(rule.delay_first).saturating_mul(1 << over.min(20));
            self.until = now + delay.min(ms(rule.delay_max));
        }
        false
    }

    fn forgive(&mut self, rule: &AttemptRule, account: usize) {
        if self.by_account.remove(&account).is_none() {
            return;
        }
        match self.attempts() {
            0 => *self = Self::default(),
            attempts if attempts < rule.free => self.until = 0,
            _ => {}
        }
    }
}

/// All counters of the model.
#[derive(Debug, Default)]
struct Model {
    accounts: BTreeMap<usize, Count>,
    addresses: BTreeMap<usize, Count>,
    devices: BTreeMap<usize, Count>,
}

impl Model {
    /// The counters of an attempt on an account: of its device where it has one, else of the account and the address.
    fn counters(&mut self, account: usize, place: Place) -> Vec<(&mut Count, AttemptRule)> {
        match place {
            Place::Device => vec![(self.devices.entry(account).or_default(), ACCOUNT_RULE)],
            Place::Address(address) => vec![
                (self.accounts.entry(account).or_default(), ACCOUNT_RULE),
                (self.addresses.entry(address).or_default(), ADDRESS_RULE),
            ],
        }
    }

    fn attempt(&mut self, account: usize, place: Place, now: u64) -> AttemptVerdict {
        let mut counters = self.counters(account, place);
        let waits: Vec<u64> = counters.iter_mut().map(|(count, _)| count.wait(now)).collect();
        match waits.into_iter().max() {
            Some(wait) if wait > 0 => AttemptVerdict::Refused(Duration::from_millis(wait)),
            _ => {
                let last: Vec<bool> =
                    counters.iter_mut().map(|(count, rule)| count.count(rule, account, now)).collect();
                AttemptVerdict::Admitted { is_last: last.contains(&true) }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Address(usize),
    Device,
}

/// The attempts of a test on one of its accounts; names differ from the first characters on, as digests do.
fn attempts(name: &str, account: usize, place: Place) -> Attempts {
    let digest = format!("{account:012x}{name}");
    match place {
        Place::Device => Attempts::of_device(&digest, &format!("{name}-{account}")),
        Place::Address(address) => Attempts::of_stranger(&digest, &format!("{name}-{address}")),
    }
}

async fn attempt(redis: &Redis, name: &str, account: usize, place: Place, now: u64) -> AttemptVerdict {
    attempts(name, account, place).count_at(redis, Some(Millis(now)), soon()).await.unwrap()
}

#[test]
fn the_throttle_counts_and_forgives_as_its_model_does() {
    let place = prop_oneof![4 => (0usize..2).prop_map(Place::Address), 1 => Just(Place::Device)];
    let gap = prop_oneof![6 => 0u64..2 * MINUTE, 3 => 0u64..20 * MINUTE, 1 => 0u64..30 * 60 * MINUTE];
    let step = (gap, 0usize..3, place, prop::bool::weighted(0.1));
    for_many(prop::collection::vec(step, 1..160), async |_, redis, name, steps| {
        let (mut model, mut now) = (Model::default(), BEGIN.0);
        for (gap, account, place, is_right) in steps {
            now += gap;
            let expected = model.attempt(account, place, now);
            assert_eq!(attempt(redis, &name, account, place, now).await, expected, "{account} {place:?}");
            if is_right && matches!(expected, AttemptVerdict::Admitted { .. }) {
                attempts(&name, account, place).forgive(redis, soon()).await.unwrap();
                for (count, rule) in model.counters(account, place) {
                    count.forgive(&rule, account);
                }
            }
        }
    });
}

/// How many attempts of a schedule go on, when each is sent as soon as the last one lets it, until the time is over.
async fn admitted_within(hours: u64, mut next: impl AsyncFnMut(u64, u64) -> AttemptVerdict) -> u64 {
    let (mut now, mut admitted) = (BEGIN.0, 0);
    while now < BEGIN.0 + hours * 60 * MINUTE {
        match next(now, admitted).await {
            AttemptVerdict::Admitted { .. } => admitted += 1,
            AttemptVerdict::Refused(wait) => now += u64::try_from(wait.as_millis()).unwrap(),
        }
    }
    admitted
}

#[tokio::test]
async fn a_hundred_guesses_at_an_account_are_the_most_however_many_addresses_guess() {
    let database = Database::start().await;
    let redis = database.environment();
    let guess = async |now, n: u64| {
        let address = Place::Address(usize::try_from(n).unwrap());
        attempt(&redis, "many", 1, address, now).await
    };
    let admitted = admitted_within(44, guess).await;
    assert_eq!(admitted, 100, "from ever new addresses, as fast as they may, in nearly two days");
}

#[tokio::test]
async fn one_address_tries_few_accounts_a_day_and_a_right_password_of_its_own_wins_it_nothing() {
    let database = Database::start().await;
    let redis = database.environment();
    let account = |n: u64| 1 + usize::try_from(n).unwrap();
    let guess = async |now, n| attempt(&redis, "one", account(n), Place::Address(0), now).await;
    let admitted = admitted_within(23, guess).await;
    // Twenty are free, seven have delays that grow from ten seconds to 640, and the others wait for 15 minutes each.
    assert!((100..=20 + 7 + 23 * 4).contains(&admitted), "{admitted}");
    let with_own = async |now, n| {
        let own = attempt(&redis, "own", 0, Place::Address(0), now).await;
        if matches!(own, AttemptVerdict::Admitted { .. }) {
            attempts("own", 0, Place::Address(0)).forgive(&redis, soon()).await.unwrap();
        }
        attempt(&redis, "own", account(n), Place::Address(0), now).await
    };
    assert_eq!(admitted_within(23, with_own).await, 20, "its own sign-ins take the turns of its guesses");
}

#[tokio::test]
async fn an_office_whose_people_know_their_passwords_never_waits() {
    let database = Database::start().await;
    let redis = database.environment();
    for person in 0..200 {
        // Everybody errs twice before they remember.
        for _ in 0..3 {
            let verdict = attempt(&redis, "office", person, Place::Address(0), BEGIN.0).await;
            assert_eq!(verdict, AttemptVerdict::Admitted { is_last: false }, "person {person}");
        }
        attempts("office", person, Place::Address(0)).forgive(&redis, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn strangers_do_not_hold_up_a_known_device_and_it_has_its_own_hundred() {
    let database = Database::start().await;
    let redis = database.environment();
    let by_stranger = async |now, _| attempt(&redis, "known", 1, Place::Address(0), now).await;
    admitted_within(3, by_stranger).await;
    let now = BEGIN.0 + 3 * 60 * MINUTE;
    let stranger = attempt(&redis, "known", 1, Place::Address(0), now - 1).await;
    assert!(matches!(stranger, AttemptVerdict::Refused(_)), "{stranger:?}");
    let by_device = async |now, _| attempt(&redis, "known", 1, Place::Device, now).await;
    assert_eq!(admitted_within(44, by_device).await, 100, "a stolen device guesses no more than a stranger");
}
