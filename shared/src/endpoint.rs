//! Endpoints and the calls they answer.

use std::future::Future;
use std::sync::Arc;

use crate::auth::access_token::LIFETIME;
use crate::auth::sessions::IDLE_MAX;
use crate::auth::signin::Issued;
use crate::clock::Deadline;
use crate::coalesce::{Share, Turn};
use crate::content::Asker;
use crate::contract::Contract;
use crate::contract::auth::Tokens;
use crate::contract::ids::{GenerationId, RequestId};
use crate::contract::page::{Page, PageQuery};
use crate::dynamo;
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Ask, Caller};
use crate::http::{Incoming, Problem, REFRESH_COOKIE, Reply, refresh_cookie};
use crate::idempotency::Seed;
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

/// An endpoint that looks at a request before it is admitted: to weigh it, or to find requests equal to it.
/// What it reads for that, it keeps for the answer. Every [`Endpoint`] is one that does not look.
pub trait PreparedEndpoint: Send + Sync + Sized + 'static {
    /// Which contract.
    type Answers: Contract;
    /// What is kept for the answer.
    type Prepared: Send;

    /// See [`Endpoint::connect`].
    ///
    /// # Errors
    /// [`StartError`]
    fn connect(environment: &Environment) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Looks at a request whose caller is known and has the right scope.
    ///
    /// # Errors
    /// [`Problem`]: told to the caller once the limits have admitted the request.
    fn prepare(
        &self,
        request: &Parsed<Self::Answers>,
        caller: Option<&Caller>,
    ) -> impl Future<Output = Result<(Self::Prepared, Ask), Problem>> + Send;

    /// See [`Endpoint::handle`].
    ///
    /// # Errors
    /// [`Problem`]
    fn handle(
        &self,
        call: Call<Self::Answers>,
        prepared: Self::Prepared,
    ) -> impl Future<Output = Result<Reply<<Self::Answers as Contract>::Reply>, Problem>> + Send;
}

impl<E: Endpoint> PreparedEndpoint for E {
    type Answers = E::Answers;
    type Prepared = ();

    fn connect(environment: &Environment) -> impl Future<Output = Result<Self, StartError>> + Send {
        E::connect(environment)
    }

    async fn prepare(&self, _: &Parsed<E::Answers>, _: Option<&Caller>) -> Result<((), Ask), Problem> {
        Ok(((), Ask::default()))
    }

    fn handle(
        &self,
        call: Call<E::Answers>,
        (): (),
    ) -> impl Future<Output = Result<Reply<<E::Answers as Contract>::Reply>, Problem>> + Send {
        Endpoint::handle(self, call)
    }
}

/// A request as the contract's types.
pub struct Parsed<C: Contract> {
    /// The path's parameters.
    pub path: C::Path,
    /// The query.
    pub query: C::Query,
    /// The body.
    pub body: C::Body,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    /// Whether the caller would rather have a job than wait.
    pub prefers_job: bool,
}

impl<C: Contract> Parsed<C> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem`] when path, query or body are not what the contract says.
    pub(crate) fn read(incoming: &Incoming) -> Result<Self, Problem> {
        Ok(Self {
            path: incoming.path::<C::Path>()?,
            query: incoming.query::<C::Query>()?,
            body: incoming.read::<C::Body>(&C::ROUTE)?,
            deadline: incoming.deadline,
            prefers_job: incoming.prefers("respond-async"),
        })
    }
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
    /// Whether the caller would rather have a job than wait.
    pub prefers_job: bool,
    incoming: Arc<Incoming>,
    admission: Admission,
}

impl<C: Contract> Call<C> {
    /// Of a request that was read and admitted.
    pub(crate) fn new(parsed: Parsed<C>, incoming: Arc<Incoming>, admission: Admission) -> Self {
        let Parsed { path, query, body, deadline, prefers_job } = parsed;
        let request_id = incoming.request_id;
        Self { path, query, body, request_id, deadline, prefers_job, incoming, admission }
    }

    /// For the identifier of what the call creates: the same at every attempt of an idempotent request.
    pub const fn seed(&self) -> Option<Seed> {
        self.admission.seed()
    }

    /// The call's turn in shared work. Taken once; then it is for itself.
    pub fn take_turn(&mut self) -> (Option<Share>, Turn) {
        self.admission.take_turn()
    }

    /// Who calls. Every contract that is not public has a caller.
    ///
    /// # Errors
    /// 401 on a public contract.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.admission.caller().ok_or_else(|| Problem::unauthorized("this route needs a caller"))
    }

    /// Who asks for content, and pays so many credits where a model writes it.
    ///
    /// # Errors
    /// 401 on a public contract.
    pub fn asker(&self, credits: u64) -> Result<Asker, Problem> {
        let caller = self.caller()?;
        let (tenant, environment) = (caller.tenant, caller.environment);
        let generation =
            self.seed().map_or_else(GenerationId::generate, |seed| GenerationId::from_bytes(seed.0));
        let (request, deadline) = (self.request_id, self.deadline);
        Ok(Asker { request, generation, tenant, credits, environment, deadline })
    }

    /// Whether the client wants this media type and not JSON.
    pub fn accepts_only(&self, media: &str) -> bool {
        let accepted = self.incoming.header("accept").unwrap_or_default().to_lowercase();
        accepted.contains(media) && !accepted.contains("json") && !accepted.contains("*/*")
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
