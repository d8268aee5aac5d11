//! The throttle of sign-in: attempts are counted for the whole fleet, before a password is hashed, so that guesses
//! that are sent at the same time count as well.

use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::Deadline;
use crate::contract::LimitPolicy;
use crate::metrics;
use crate::redis::{Redis, RedisError, Script, Value};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("throttle.lua")]));

/// How many attempts on one account are free before each further one has to wait.
const ATTEMPTS_FREE: u64 = 10;
/// How long after the last attempt on an account its attempts are forgotten.
const ATTEMPT_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The delay after the first attempt that is not free; it doubles with each further one.
const DELAY_FIRST: Duration = Duration::from_secs(30);
const DELAY_LONGEST: Duration = Duration::from_secs(15 * 60);
/// How many accounts one address may try within [`IP_WINDOW`]. The people of an office share an address; somebody
/// with a list of stolen passwords tries more accounts than this.
const ACCOUNTS_PER_IP: u64 = 15;
/// How long after the first account that an address tried its accounts are forgotten.
const IP_WINDOW: Duration = Duration::from_secs(3600);

/// The attempts to sign in to one account from one address.
pub struct Attempts {
    account_key: String,
    ip_key: String,
    /// The account as the number by which the address's set of accounts knows it.
    account: u64,
}

/// A duration in milliseconds, as the script takes it.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Attempts {
    /// The attempts on an account, which need not exist, from an address. Both are hexadecimal digests.
    pub fn new(account: &str, ip: &str) -> Self {
        Self {
            account_key: format!("hz1:signin:account:{}", account.get(..32).unwrap_or(account)),
            ip_key: format!("hz1:signin:ip:{ip}"),
            // 48 bits: Lua's numbers are exact up to 2^53 only.
            account: account.get(..12).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default(),
        }
    }

    /// Counts an attempt before the password is checked. `Some` is the time to wait: the attempt was not counted
    /// and must not go on.
    ///
    /// # Errors
    /// [`RedisError`]: the attempt may not have been counted, so it must not go on either.
    pub async fn count(&self, redis: &Redis, deadline: Deadline) -> Result<Option<Duration>, RedisError> {
        let keys = [self.account_key.clone(), self.ip_key.clone()];
        let args = [
            self.account,
            ATTEMPTS_FREE,
            millis(ATTEMPT_WINDOW),
            millis(DELAY_FIRST),
            millis(DELAY_LONGEST),
            ACCOUNTS_PER_IP,
            millis(IP_WINDOW),
        ];
        let args = args.map(|arg| arg.to_string());
        let answer = redis.run(&SCRIPT, &keys, &args, deadline).await?;
        match answer.first().and_then(Value::int) {
            Some(0) => Ok(None),
            Some(wait) => {
                metrics::limit_denied(LimitPolicy::Signin);
                Ok(Some(Duration::from_millis(u64::try_from(wait).unwrap_or(1))))
            }
            None => Err(RedisError::malformed("the throttle script answered with another number of values")),
        }
    }

    /// Forgets the attempts on the account, once the right password was given.
    ///
    /// # Errors
    /// [`RedisError`]: the attempts stay until their window ends.
    pub async fn forget(&self, redis: &Redis, deadline: Deadline) -> Result<(), RedisError> {
        redis.command("DEL", &[&self.account_key], deadline).await.map(|_| ())
    }
}
