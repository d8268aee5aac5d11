//! Reads the secrets of an environment again from time to time, so that a key can be changed while the fleet runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Millis;
use crate::environment::{Environment, StartError};
use crate::telemetry;

/// The longest that a request waits while the secrets are read again and services connect with them.
const RENEW_WITHIN: Duration = Duration::from_secs(2);
/// How much sooner than usual the secrets are read again after a failure, or for a token of a key that is not known:
/// anybody can send one, so not for each.
const SOONER: u32 = 10;

/// When the secrets of this environment were read last.
#[derive(Debug)]
pub(super) struct Renewal {
    read_at: AtomicU64,
}

impl Renewal {
    pub(super) fn new(now: Millis) -> Self {
        Self { read_at: AtomicU64::new(now.0) }
    }

    /// Whether the secrets have to be read again: their age is `every`, or a tenth of it if `sooner`. Of requests that
    /// overlap one is told so.
    fn is_due(&self, now: Millis, every: Duration, sooner: bool) -> bool {
        let read_at = self.read_at.load(Ordering::Relaxed);
        let wait = if sooner { every / SOONER } else { every };
        let is_due = now.since(Millis(read_at)) >= wait;
        is_due && self.read_at.compare_exchange(read_at, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Notes that the secrets could not be read, so that it is tried again soon.
    fn failed(&self, now: Millis, every: Duration) {
        let ago = every.saturating_sub(every / SOONER);
        let read_at = now.0.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(0));
        self.read_at.store(read_at, Ordering::Relaxed);
    }

    /// Reads the secrets of `environment` again if that is due, and returns what `connect` makes of them if one has
    /// changed. Without an answer everything stays as it is: the old secrets are better than none.
    pub(super) async fn renew<T>(
        &self,
        environment: &Environment,
        sooner: bool,
        connect: impl AsyncFnOnce(Environment) -> Result<T, StartError>,
    ) -> Option<T> {
        let every = environment.settings().await.ok()?.secrets_for;
        let now = Millis::now();
        if !self.is_due(now, every, sooner) {
            return None;
        }
        let renew = async {
            match environment.renewed().await? {
                Some(renewed) => Ok(Some(connect(renewed).await?)),
                None => Ok(None),
            }
        };
        let result: Result<Option<T>, StartError> = tokio::time::timeout(RENEW_WITHIN, renew)
            .await
            .unwrap_or_else(|_| Err(StartError::Service("no answer in time".into())));
        match result {
            Ok(renewed) => {
                if renewed.is_some() {
                    tracing::info!("a secret has changed, and all services have connected anew");
                }
                renewed
            }
            Err(error) => {
                self.failed(now, every);
                tracing::error!(error = %telemetry::chain(&error), "the secrets are still those of before");
                None
            }
        }
    }
}

/// The environment of a function that no request starts, with secrets that were read lately.
pub(super) struct RenewedEnvironment {
    current: Mutex<Arc<Environment>>,
    renewal: Renewal,
}

impl RenewedEnvironment {
    pub(super) fn new() -> Self {
        Self { current: Mutex::default(), renewal: Renewal::new(Millis::now()) }
    }

    /// The environment for a run that begins now.
    pub(super) async fn get(&self) -> Arc<Environment> {
        let lock = || self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = Arc::clone(&lock());
        match self.renewal.renew(&current, false, async |renewed| Ok(Arc::new(renewed))).await {
            Some(renewed) => {
                *lock() = Arc::clone(&renewed);
                renewed
            }
            None => current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(600);

    #[test]
    fn secrets_are_read_every_ten_minutes_and_for_an_unknown_key_at_most_once_a_minute() {
        let renewal = Renewal::new(Millis(0));
        assert!(
            !renewal.is_due(Millis(59_999), EVERY, true) && !renewal.is_due(Millis(599_999), EVERY, false)
        );
        assert!(renewal.is_due(Millis(60_000), EVERY, true));
        assert!(!renewal.is_due(Millis(60_000), EVERY, true), "once");
        assert!(
            !renewal.is_due(Millis(119_999), EVERY, true) && renewal.is_due(Millis(120_000), EVERY, true)
        );
        assert!(
            !renewal.is_due(Millis(719_999), EVERY, false) && renewal.is_due(Millis(720_000), EVERY, false)
        );
        renewal.failed(Millis(720_000), EVERY);
        assert!(
            !renewal.is_due(Millis(779_999), EVERY, false) && renewal.is_due(Millis(780_000), EVERY, false)
        );
    }
}
