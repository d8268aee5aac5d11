//! `GET /api/generations`: lists what was generated for the tenant, newest first.

use shared::contract::generations::{Generation, ListGenerations};
use shared::contract::page::{Page, PageQuery};
use shared::endpoint::{Call, Endpoint, Pages};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::generations::Generations;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<List>().serve().await
}

struct List {
    generations: Generations,
    pages: Pages,
}

impl Endpoint for List {
    type Contract = ListGenerations;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            generations: Generations::connect(environment).await?,
            pages: Pages::connect(environment, "generations").await?,
        })
    }

    async fn handle(&self, call: Call<ListGenerations>) -> Result<Reply<Page<Generation>>, Problem> {
        let tenant = call.caller.tenant;
        let query = &call.query;
        let of_creator = query.creator_id.map(|id| self.pages.of_creator(id));
        let pages = of_creator.as_ref().unwrap_or(&self.pages);
        let page_query = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
        let after = pages.after(tenant, &page_query)?;
        let page = self.generations.page(tenant, query.creator_id, query.limit.get(), after).await?;
        Ok(pages.page(tenant, page).into())
    }
}
