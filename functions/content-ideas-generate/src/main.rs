//! `POST /api/content-ideas/generate`: proposes ideas for a creator, each with a caption and hashtags.
//!
//! Equal requests of a tenant that are under way at the same time share one call of the model, in whichever environment
//! they run.

use shared::contract::content_ideas::GenerateIdeas;
use shared::serve::{self, Function};
use shared::work::ProposeIdeas;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<ProposeIdeas<GenerateIdeas>>().serve().await
}
