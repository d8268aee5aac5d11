//! The throttle of sign-in: attempts are counted for the whole fleet, before a password is hashed, so that guesses
//! that are sent at the same time count as well.
//!
//! An attempt counts for its account and for the address that it comes from, until the right password forgives the
//! attempts on the account in both. So one address cannot try many accounts, many addresses cannot try one account, and
//! an office whose people sign in never waits. A device on which the account was signed in to before counts for itself
//! alone: strangers who guess do not lock the owner out.

use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::{Deadline, Millis};
use crate::contract::LimitPolicy;
use crate::metrics;
use crate::redis::{Redis, RedisError, Script, Value};

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("throttle/count.lua")]));
static FORGIVE: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("throttle/forgive.lua")]));

/// How attempts are counted that have something in common: an account, a device or an address.
#[derive(Debug, Clone, Copy)]
pub struct AttemptRule {
    /// How many attempts there are before each further one has to wait.
    pub free: u64,
    /// The delay after the last attempt that is free. It doubles with each further one.
    pub delay_first: Duration,
    /// The longest delay.
    pub delay_max: Duration,
    /// After how many attempts all are refused, for the rest of their life. None: they only wait.
    pub attempts_max: Option<u64>,
    /// How long attempts are counted before they are forgotten.
    pub life: Duration,
    /// Whether the life begins anew with each attempt, or with the first one.
    pub is_renewed: bool,
}

const DAY: Duration = Duration::from_secs(86_400);

/// The attempts on one account from wherever, and those from one of its known devices.
///
/// A hundred failures in a row are the most that NIST SP 800-63B (5.2.2) allows. With these delays they take a day.
pub const ACCOUNT_RULE: AttemptRule = AttemptRule {
    free: 10,
    delay_first: Duration::from_secs(30),
    delay_max: Duration::from_secs(15 * 60),
    attempts_max: Some(100),
    life: DAY,
    is_renewed: true,
};

/// The attempts from one address. Many people may share it, so it is never closed, and its life is not renewed: a day's
/// forgotten passwords are not held against it on the next.
pub const ADDRESS_RULE: AttemptRule = AttemptRule {
    free: 20,
    delay_first: Duration::from_secs(10),
    delay_max: Duration::from_secs(15 * 60),
    attempts_max: None,
    life: DAY,
    is_renewed: false,
};

/// Whether an attempt to sign in may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// The attempt was counted, and the password may be checked.
    Admitted {
        /// Whether it is the last one on the account for a day, unless its password is right.
        is_last: bool,
    },
    /// The attempt was not counted, and the password must not be checked before this time has passed.
    Refused(Duration),
}

/// The attempts to sign in to one account.
pub struct Attempts {
    counters: Vec<(String, AttemptRule)>,
    /// The account as the number by which the scripts know it.
    account: u64,
}

/// A duration in milliseconds, as the scripts take it.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl AttemptRule {
    fn script_args(self) -> [u64; 6] {
        let [first, longest, life] = [self.delay_first, self.delay_max, self.life].map(millis);
        [self.free, first, longest, self.attempts_max.unwrap_or(0), life, self.is_renewed.into()]
    }
}

impl Attempts {
    /// The attempts on an account, which need not exist, by strangers at an address. Both are hexadecimal digests.
    pub fn of_stranger(account: &str, address: &str) -> Self {
        let name = account.get(..32).unwrap_or(account);
        let counters = vec![
            (format!("hz1:signin:account:{name}"), ACCOUNT_RULE),
            (format!("hz1:signin:address:{address}"), ADDRESS_RULE),
        ];
        Self { counters, account: number(account) }
    }

    /// The attempts on an account from a device that it knows. Both are hexadecimal digests.
    pub fn of_device(account: &str, device: &str) -> Self {
        let counters = vec![(format!("hz1:signin:device:{device}"), ACCOUNT_RULE)];
        Self { counters, account: number(account) }
    }

    /// Counts an attempt before the password is checked, or refuses it.
    ///
    /// # Errors
    /// [`RedisError`]: the attempt may not have been counted, so it must not go on.
    pub async fn count(&self, redis: &Redis, deadline: Deadline) -> Result<AttemptVerdict, RedisError> {
        let verdict = self.count_at(redis, None, deadline).await?;
        if matches!(verdict, AttemptVerdict::Refused(_)) {
            metrics::limit_denied(LimitPolicy::Signin);
        }
        Ok(verdict)
    }

    /// Counts as [`Attempts::count`] does, at this time instead of the server's. The tests use it to compare the
    /// script with its model in Rust.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn count_at(
        &self,
        redis: &Redis,
        now: Option<Millis>,
        deadline: Deadline,
    ) -> Result<AttemptVerdict, RedisError> {
        let rules = self.counters.iter().flat_map(|(_, rule)| rule.script_args());
        let args: Vec<u64> = [now.map_or(0, |now| now.0), self.account].into_iter().chain(rules).collect();
        let answer = self.run(redis, &COUNT, args, deadline).await?;
        let number = |value: &Value| value.int().and_then(|int| u64::try_from(int).ok());
        match answer.get(..2).map(|values| (number(&values[0]), number(&values[1]))) {
            Some((Some(0), Some(last))) => Ok(AttemptVerdict::Admitted { is_last: last == 1 }),
            Some((Some(wait), Some(_))) => Ok(AttemptVerdict::Refused(Duration::from_millis(wait))),
            _ => Err(RedisError::malformed("the throttle script answered with another form")),
        }
    }

    /// Forgives the attempts on the account, once the right password was given.
    ///
    /// # Errors
    /// [`RedisError`]: the attempts count until their life ends.
    pub async fn forgive(&self, redis: &Redis, deadline: Deadline) -> Result<(), RedisError> {
        let free = self.counters.iter().map(|(_, rule)| rule.free);
        let args = [self.account].into_iter().chain(free).collect();
        self.run(redis, &FORGIVE, args, deadline).await.map(drop)
    }

    async fn run(
        &self,
        redis: &Redis,
        script: &'static Script,
        args: Vec<u64>,
        deadline: Deadline,
    ) -> Result<Vec<Value>, RedisError> {
        let keys: Vec<String> = self.counters.iter().map(|(key, _)| key.clone()).collect();
        let args: Vec<String> = args.into_iter().map(|arg| arg.to_string()).collect();
        redis.run(script, &keys, &args, deadline).await
    }
}

/// The beginning of a hexadecimal digest as a number of 48 bits, because Lua's numbers are exact up to 2^53 only.
fn number(digest: &str) -> u64 {
    digest.get(..12).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}
