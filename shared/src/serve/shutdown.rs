//! What runs when Lambda shuts an execution environment down.

use std::time::Duration;

/// The longest that we wait for Lambda to register the extension; it answers at once or not at all.
const REGISTER_WITHIN: Duration = Duration::from_secs(1);

/// Arranges that `work` runs when Lambda ends the environment.
///
/// Lambda sends SIGTERM only to environments that have an extension, so the runtime registers one that does nothing.
/// Where the platform offers no extensions (some emulators), `work` never runs, and what the environment counted since
/// its last trip to Redis is lost.
#[expect(
    clippy::disallowed_methods,
    reason = "the runtime panics where it cannot register; a task contains that"
)]
pub(super) async fn on_shutdown<F: Future<Output = ()> + Send + 'static>(
    work: impl FnOnce() -> F + Send + 'static,
) {
    let registration = tokio::spawn(lambda_runtime::spawn_graceful_shutdown_handler(work));
    match tokio::time::timeout(REGISTER_WITHIN, registration).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => tracing::info!("no word before the end: the platform offers no extensions"),
    }
}
