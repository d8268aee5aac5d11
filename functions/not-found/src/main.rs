//! Every path without a function of its own: a problem that says where to look.

use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().serve().await
}
