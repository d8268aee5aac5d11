//! `POST /api/ai-assistant/tools/pricing-optimizer`: advises which price to keep, test or take. A person sets the
//! price.

use shared::content::PriceAdvisor;
use shared::contract::price_advice::{AdvisePrice, PriceAdvice};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Advise>().serve().await
}

struct Advise {
    prices: PriceAdvisor,
}

impl Endpoint for Advise {
    type Contract = AdvisePrice;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { prices: PriceAdvisor::connect(environment).await? })
    }

    async fn handle(&self, call: Call<AdvisePrice>) -> Result<Reply<PriceAdvice>, Problem> {
        Ok(self.prices.advise(call.generation(), &call.body).await?.into())
    }
}
