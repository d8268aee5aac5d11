//! The last moments of an environment.

use std::time::Duration;

/// How long Lambda has to register us. It answers at once or not at all.
const REGISTER_WITHIN: Duration = Duration::from_secs(1);

/// Has the counts written when Lambda ends the environment. Lambda sends SIGTERM only to environments with an
/// extension, so the runtime registers one that does nothing. Where the platform offers no extensions (some
/// emulators), an environment ends without last words, and its last interval is lost.
#[expect(
    clippy::disallowed_methods,
    reason = "the runtime panics where it cannot register; a task contains that"
)]
pub(super) async fn when_ended<F: Future<Output = ()> + Send + 'static>(
    last_words: impl FnOnce() -> F + Send + 'static,
) {
    let registering = tokio::spawn(lambda_runtime::spawn_graceful_shutdown_handler(last_words));
    match tokio::time::timeout(REGISTER_WITHIN, registering).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => tracing::info!("no word before the end: the platform offers no extensions"),
    }
}
