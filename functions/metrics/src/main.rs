//! `GET /api/metrics`: the sum of the metrics of all environments, in the text format of Prometheus.

use shared::contract::metrics::GetMetrics;
use shared::contract::openapi::Document;
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::fleet::scrape::FleetMetrics;
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().serve().await
}

struct Show(FleetMetrics);

impl Endpoint for Show {
    type Contract = GetMetrics;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(FleetMetrics::connect(environment).await?))
    }

    async fn handle(&self, call: Call<GetMetrics>) -> Result<Reply<Document>, Problem> {
        Ok(Reply::text(self.0.text(call.deadline).await?))
    }
}
