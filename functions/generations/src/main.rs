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
    all: Pages,
    of_creator: Pages,
}

impl Endpoint for List {
    type Contract = ListGenerations;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            generations: Generations::connect(environment).await?,
            all: Pages::connect(environment, "generations").await?,
            of_creator: Pages::connect(environment, "generations of a creator").await?,
        })
    }

    async fn handle(&self, call: Call<ListGenerations>) -> Result<Reply<Page<Generation>>, Problem> {
        let tenant = call.caller.tenant;
        let query = &call.query;
        // Two lists in the sense of cursors: a position in one means nothing in the other.
        let pages = if query.creator_id.is_some() { &self.of_creator } else { &self.all };
        let page_query = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
        let after = pages.after(tenant, &page_query)?;
        let page = self.generations.page(tenant, query.creator_id, query.limit.get(), after).await?;
        Ok(pages.page(tenant, page).into())
    }
}
