//! [`Millis`]: a moment of the wall clock in milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment of the wall clock, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// The present moment, by the clock of this machine.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment that is this much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time that has passed since an earlier moment; zero if that moment is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The month of the year in UTC, from 1 for January to 12.
    pub fn month_number(self) -> u8 {
        self.month().get(5..).and_then(|number| number.parse().ok()).unwrap_or(1)
    }

    /// The number of whole seconds since the Unix epoch.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment in UTC as RFC 3339 writes it, without fractions of a second: `2026-11-21T22:26:40Z`.
    pub fn rfc3339(self) -> String {
        let secs = i64::try_from(self.secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(secs)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_default()
    }

    /// Parses a text in the form of RFC 3339; none where it has another form, or is before the Unix epoch.
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// The time until the next midnight in UTC.
    pub const fn until_midnight(self) -> Duration {
        const DAY_MS: u64 = 86_400_000;
        Duration::from_millis(DAY_MS - self.0 % DAY_MS)
    }

    /// The year and month in UTC, such as `2026-11`.
    pub fn month(self) -> String {
        self.rfc3339().chars().take(7).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_in_utc() {
        let until = |text: &str| Millis::parse(text).unwrap().until_midnight().as_secs();
        assert_eq!((until("2026-11-21T00:00:00Z"), until("2026-11-21T23:59:59Z")), (86_400, 1));
    }

    #[test]
    fn times_are_written_and_read_in_utc() {
        let at = Millis(1_795_300_000_000);
        assert_eq!(at.rfc3339(), "2026-11-21T22:26:40Z");
        assert_eq!(Millis::parse("2026-11-21T23:26:40+01:00"), Some(at));
        assert_eq!(at.month(), "2026-11");
        assert_eq!(Millis::parse("tomorrow"), None);
    }

    #[test]
    fn a_clock_that_went_back_gives_no_negative_time() {
        assert_eq!(Millis(5).since(Millis(9)), Duration::ZERO);
    }
}
