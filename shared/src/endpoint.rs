//! Endpoints and the calls they answer.

use std::future::Future;

use crate::auth::access_token::LIFETIME;
use crate::auth::sessions::IDLE_MAX;
use crate::auth::signin::Issued;
use crate::clock::Deadline;
use crate::contract::Contract;
use crate::contract::auth::Tokens;
use crate::contract::ids::RequestId;
use crate::contract::page::{Page, PageQuery};
use crate::dynamo;
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Caller};
use crate::http::{Incoming, Problem, REFRESH_COOKIE, Reply, refresh_cookie};
use crate::tenants::TenantCtx;
use crate::tenants::cursor::Cursors;

/// What answers one contract: a struct of exactly its needs.
pub trait Endpoint: Send + Sync + Sized + 'static {
    /// Which contract.
    type Answers: Contract;

    /// Takes what it needs from the environment, once.
    ///
    /// # Errors
    /// [`StartError`]: until it succeeds, requests are answered with 503.
    fn connect(environment: &Environment) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Answers one call.
    ///
    /// # Errors
    /// [`Problem`]: what the caller is told, and what we need to know.
    fn handle(
        &self,
        call: Call<Self::Answers>,
    ) -> impl Future<Output = Result<Reply<<Self::Answers as Contract>::Reply>, Problem>> + Send;
}

/// One admitted call. Only an [`Admission`] makes one, and only the guard makes an `Admission`.
pub struct Call<C: Contract> {
    /// The path's parameters.
    pub path: C::Path,
    /// The query.
    pub query: C::Query,
    /// The body.
    pub body: C::Body,
    /// The request, as in `x-request-id`.
    pub request_id: RequestId,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    incoming: Incoming,
    admission: Admission,
}

impl<C: Contract> Call<C> {
    /// Reads an admitted request.
    ///
    /// # Errors
    /// [`Problem`] when path, query or body are not what the contract says.
    pub(crate) fn read(incoming: Incoming, admission: Admission) -> Result<Self, Problem> {
        Ok(Self {
            path: incoming.path::<C::Path>()?,
            query: incoming.query::<C::Query>()?,
            body: incoming.body::<C::Body>(C::ROUTE.method)?,
            request_id: incoming.request_id,
            deadline: incoming.deadline,
            incoming,
            admission,
        })
    }

    /// Who calls. Every contract that is not public has a caller.
    ///
    /// # Errors
    /// 401 on a public contract.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.admission.caller().ok_or_else(|| Problem::unauthorized("this route needs a caller"))
    }

    /// The address of the client.
    pub fn ip(&self) -> &str {
        self.incoming.ip()
    }

    /// The refresh token in the cookie.
    pub fn refresh_cookie(&self) -> Option<&str> {
        self.incoming.cookie(REFRESH_COOKIE)
    }

    /// Whether a browser asks: it keeps the refresh token where scripts cannot read it.
    pub fn is_browser(&self) -> bool {
        self.incoming.header("sec-fetch-site").is_some()
    }
}

/// The tokens of a session as a reply: the refresh token in the cookie for a browser, else in the body.
pub fn with_tokens<T>(issued: Issued, by_cookie: bool, reply: impl FnOnce(Tokens) -> T) -> Reply<T> {
    let cookie = by_cookie.then(|| refresh_cookie(Some(&issued.refresh_token), IDLE_MAX));
    let tokens = Tokens {
        access_token: issued.access_token,
        token_type: "Bearer",
        expires_in: LIFETIME.as_secs(),
        refresh_token: (!by_cookie).then_some(issued.refresh_token),
    };
    let reply = Reply::from(reply(tokens));
    match cookie {
        Some(cookie) => reply.cookie(&cookie),
        None => reply,
    }
}

/// The pages of one list: cursors in, cursors out.
pub struct Pages {
    cursors: Cursors,
    list: &'static str,
}

impl Pages {
    /// For the list of this name.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment, list: &'static str) -> Result<Self, StartError> {
        Ok(Self { cursors: environment.cursors().await?, list })
    }

    /// Where a page begins.
    ///
    /// # Errors
    /// 400 for a cursor of another list or tenant.
    pub fn after(&self, tenant: TenantCtx, query: &PageQuery) -> Result<Option<String>, Problem> {
        let open = |cursor: &str| self.cursors.open(tenant, self.list, cursor);
        Ok(query.cursor.as_deref().map(open).transpose()?)
    }

    /// A page as the contract has it.
    pub fn page<T>(&self, tenant: TenantCtx, found: dynamo::Page<T>) -> Page<T> {
        let next_cursor = found.last_sk.map(|position| self.cursors.seal(tenant, self.list, &position));
        Page { data: found.items, has_more: next_cursor.is_some(), next_cursor }
    }
}
