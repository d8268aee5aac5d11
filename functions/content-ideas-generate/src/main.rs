//! `POST /api/content-ideas/generate`: ideas for a creator, each with caption and hashtags.
//! Identical requests in flight anywhere in the fleet share one upstream call.

use shared::contract::content_ideas::GenerateIdeas;
use shared::serve::{self, Function};
use shared::work::ProposeIdeas;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<ProposeIdeas<GenerateIdeas>>().serve().await
}
