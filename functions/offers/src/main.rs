//! `GET` and `POST /api/creators/{id}/offers`: lists and imports what was offered to a creator's fans at which price.

use shared::contract::lines::ImportResult;
use shared::contract::offers::{DayOffers, ImportOffers, ListOffers};
use shared::contract::page::Page;
use shared::endpoint::{Call, Endpoint, Pages};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::creators::Creators;
use shared::tenants::lines;
use shared::tenants::offers::Offers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<List>().answers::<Import>().serve().await
}

struct List {
    creators: Creators,
    offers: Offers,
    pages: Pages,
}

impl Endpoint for List {
    type Contract = ListOffers;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let pages = Pages::connect(environment, "offers").await?;
        Ok(Self {
            creators: Creators::connect(environment).await?,
            offers: Offers::connect(environment).await?,
            pages,
        })
    }

    async fn handle(&self, call: Call<ListOffers>) -> Result<Reply<Page<DayOffers>>, Problem> {
        let tenant = call.caller.tenant;
        let id = call.path.id;
        let pages = self.pages.of_creator(id);
        let after = pages.after(tenant, &call.query)?;
        // Only to answer 404 where the tenant has no such creator.
        self.creators.get(tenant, id).await?;
        let page = self.offers.page(tenant, id, call.query.limit.get(), after).await?;
        Ok(pages.page(tenant, page).into())
    }
}

struct Import {
    creators: Creators,
    offers: Offers,
}

impl Endpoint for Import {
    type Contract = ImportOffers;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            creators: Creators::connect(environment).await?,
            offers: Offers::connect(environment).await?,
        })
    }

    async fn handle(&self, call: Call<ImportOffers>) -> Result<Reply<ImportResult>, Problem> {
        let tenant = call.caller.tenant;
        let id = call.path.id;
        let lines = lines::read(&call.body).map_err(|message| Problem::invalid("", message))?;
        // Only to answer 404 where the tenant has no such creator.
        self.creators.get(tenant, id).await?;
        let imported = self.offers.import(tenant, id, lines.records).await?;
        Ok(ImportResult { imported, failed: lines.failed }.into())
    }
}
