//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// A condition that does not come is given up after this: longer than any time that a test waits for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between looks doubles from here, so that what comes soon is seen soon.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
/// A look may be a request that counts; it is made a few times a second at most.
const PAUSE_LONGEST: Duration = Duration::from_millis(200);

/// Looks until there is something, and gives it.
///
/// # Panics
/// When [`PATIENCE`] is over, with what did not happen.
pub async fn find<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let (begun, mut pause) = (Instant::now(), PAUSE_FIRST);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

/// Looks until a condition holds.
///
/// # Panics
/// When [`PATIENCE`] is over, with what did not happen.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    find(what, async || holds().await.then_some(())).await;
}
