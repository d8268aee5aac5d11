//! `POST /api/ai-assistant/tools/content-ideas`: proposes ideas for a stored creator, from a brief in free words.

use shared::contract::content_ideas::GenerateIdeasFromBrief;
use shared::serve::{self, Function};
use shared::work::ProposeIdeas;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<ProposeIdeas<GenerateIdeasFromBrief>>().serve().await
}
