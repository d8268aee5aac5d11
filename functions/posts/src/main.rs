//! `GET` and `POST /api/creators/{id}/posts`: lists and imports what a creator has published.

use shared::contract::lines::ImportResult;
use shared::contract::page::Page;
use shared::contract::posts::{ImportPosts, ListPosts, Post};
use shared::endpoint::{Call, Endpoint, Pages};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::creators::Creators;
use shared::tenants::lines;
use shared::tenants::posts::Posts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<List>().answers::<Import>().serve().await
}

struct List {
    creators: Creators,
    posts: Posts,
    pages: Pages,
}

impl Endpoint for List {
    type Contract = ListPosts;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let pages = Pages::connect(environment, "posts").await?;
        Ok(Self {
            creators: Creators::connect(environment).await?,
            posts: Posts::connect(environment).await?,
            pages,
        })
    }

    async fn handle(&self, call: Call<ListPosts>) -> Result<Reply<Page<Post>>, Problem> {
        let tenant = call.caller.tenant;
        let id = call.path.id;
        let pages = self.pages.of_creator(id);
        let after = pages.after(tenant, &call.query)?;
        // Only to answer 404 where the tenant has no such creator.
        self.creators.get(tenant, id).await?;
        let page = self.posts.page(tenant, id, call.query.limit.get(), after).await?;
        Ok(pages.page(tenant, page).into())
    }
}

struct Import {
    creators: Creators,
    posts: Posts,
}

impl Endpoint for Import {
    type Contract = ImportPosts;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            creators: Creators::connect(environment).await?,
            posts: Posts::connect(environment).await?,
        })
    }

    async fn handle(&self, call: Call<ImportPosts>) -> Result<Reply<ImportResult>, Problem> {
        let tenant = call.caller.tenant;
        let id = call.path.id;
        let lines = lines::read(&call.body).map_err(|message| Problem::invalid("", message))?;
        // Only to answer 404 where the tenant has no such creator.
        self.creators.get(tenant, id).await?;
        let imported = self.posts.import(tenant, id, lines.records).await?;
        Ok(ImportResult { imported, failed: lines.failed }.into())
    }
}
