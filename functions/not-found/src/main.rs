//! Answers every path that no other function answers, with a 404 that names the documentation.

use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().serve().await
}
