//! What a function implements: endpoints, and the calls that they answer.

use std::future::Future;
use std::sync::Arc;

use crate::auth::access_token::LIFETIME;
use crate::auth::sessions::IDLE_MAX;
use crate::auth::signin::IssuedTokens;
use crate::clock::Deadline;
use crate::content::GenerationContext;
use crate::contract::auth::SessionTokens;
use crate::contract::ids::{GenerationId, RequestId};
use crate::contract::page::{Page, PageQuery};
use crate::contract::{BodyIn, CallerMarker, Contract, NoCaller, ReplyIn, SomeCaller};
use crate::dynamo;
use crate::environment::{Environment, StartError};
use crate::fleet::coalesce::{SharedWork, WorkTurn};
use crate::fleet::idempotency::IdSeed;
use crate::guard::{Admission, Caller, Demand};
use crate::http::{HttpRequest, Problem, REFRESH_COOKIE, Reply, refresh_cookie};
use crate::tenants::TenantCtx;
use crate::tenants::cursor::Cursors;

/// What a call of a contract has for a caller, by the contract's marker.
pub trait CallerOf: CallerMarker {
    /// [`Caller`], or nothing.
    type Value: Clone + Send + Sync;

    /// The value, from what the guard found out.
    ///
    /// # Errors
    /// Where the guard let a call without a caller pass that needs one, which its marker rules out.
    fn of(caller: Option<&Caller>) -> Result<Self::Value, Problem>;
}

impl CallerOf for SomeCaller {
    type Value = Caller;

    fn of(caller: Option<&Caller>) -> Result<Caller, Problem> {
        caller.cloned().ok_or_else(|| Problem::internal("the guard let a call pass without its caller"))
    }
}

impl CallerOf for NoCaller {
    type Value = ();

    fn of(_: Option<&Caller>) -> Result<(), Problem> {
        Ok(())
    }
}

/// A contract whose marker of callers is one of the two above: every contract is.
pub trait ServedContract: Contract<Caller: CallerOf> {}

impl<C: Contract<Caller: CallerOf>> ServedContract for C {}

/// The caller of a contract's calls.
pub type CallerIn<C> = <<C as Contract>::Caller as CallerOf>::Value;

/// What answers one contract: a struct of exactly its needs.
pub trait Endpoint: Send + Sync + Sized + 'static {
    /// The contract that it answers.
    type Contract: ServedContract;

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
        call: Call<Self::Contract>,
    ) -> impl Future<Output = Result<Reply<ReplyIn<Self::Contract>>, Problem>> + Send;
}

/// An endpoint that looks at a request before it is admitted: to weigh it, or to find requests equal to it.
/// What it reads for that is handed on to the answer. Every [`Endpoint`] is one that does not look.
pub trait PreparedEndpoint: Send + Sync + Sized + 'static {
    /// The contract that it answers.
    type Contract: ServedContract;
    /// What preparing hands on to the answer.
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
        request: &ParsedRequest<Self::Contract>,
    ) -> impl Future<Output = Result<(Self::Prepared, Demand), Problem>> + Send;

    /// See [`Endpoint::handle`].
    ///
    /// # Errors
    /// [`Problem`]
    fn handle(
        &self,
        call: Call<Self::Contract>,
        prepared: Self::Prepared,
    ) -> impl Future<Output = Result<Reply<ReplyIn<Self::Contract>>, Problem>> + Send;
}

impl<E: Endpoint> PreparedEndpoint for E {
    type Contract = E::Contract;
    type Prepared = ();

    fn connect(environment: &Environment) -> impl Future<Output = Result<Self, StartError>> + Send {
        E::connect(environment)
    }

    async fn prepare(&self, _: &ParsedRequest<E::Contract>) -> Result<((), Demand), Problem> {
        Ok(((), Demand::default()))
    }

    fn handle(
        &self,
        call: Call<E::Contract>,
        (): (),
    ) -> impl Future<Output = Result<Reply<ReplyIn<E::Contract>>, Problem>> + Send {
        Endpoint::handle(self, call)
    }
}

/// A request in the types of its contract.
pub struct ParsedRequest<C: ServedContract> {
    /// The path's parameters.
    pub path: C::Path,
    /// The query.
    pub query: C::Query,
    /// The body.
    pub body: BodyIn<C>,
    /// Who calls; nothing on a route without callers.
    pub caller: CallerIn<C>,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    /// Whether the caller would rather have a job than wait.
    pub prefers_job: bool,
}

impl<C: ServedContract> ParsedRequest<C> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem`] when path, query or body are not what the contract says.
    pub(crate) fn read(incoming: &HttpRequest, caller: Option<&Caller>) -> Result<Self, Problem> {
        Ok(Self {
            path: incoming.path::<C::Path>()?,
            query: incoming.query::<C::Query>()?,
            body: incoming.read::<C::Body>()?,
            caller: C::Caller::of(caller)?,
            deadline: incoming.deadline,
            prefers_job: incoming.prefers("respond-async"),
        })
    }
}

/// One admitted call. Only an [`Admission`] makes one, and only the guard makes an `Admission`.
pub struct Call<C: ServedContract> {
    /// The path's parameters.
    pub path: C::Path,
    /// The query.
    pub query: C::Query,
    /// The body.
    pub body: BodyIn<C>,
    /// Who calls; nothing on a route without callers.
    pub caller: CallerIn<C>,
    /// The request's identifier, as in `x-request-id`.
    pub request_id: RequestId,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    incoming: Arc<HttpRequest>,
    admission: Admission,
}

impl<C: ServedContract> Call<C> {
    /// The call of a request that was read and admitted.
    pub(crate) fn new(request: ParsedRequest<C>, incoming: Arc<HttpRequest>, admission: Admission) -> Self {
        let ParsedRequest { path, query, body, caller, deadline, .. } = request;
        let request_id = incoming.request_id;
        Self { path, query, body, caller, request_id, deadline, incoming, admission }
    }

    /// The seed for the identifier of what the call creates: the same at every attempt of an idempotent request.
    pub const fn seed(&self) -> Option<IdSeed> {
        self.admission.seed()
    }

    /// The work that the call shares with equal ones, and its turn in it: taken once.
    pub fn take_turn(&mut self) -> Option<(SharedWork, WorkTurn)> {
        self.admission.take_turn()
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

impl<C: ServedContract<Caller = SomeCaller>> Call<C> {
    /// For whom something is made, at the price of this many credits where a model makes it.
    pub fn generation(&self, credits: u64) -> GenerationContext {
        let generation =
            self.seed().map_or_else(GenerationId::generate, |seed| GenerationId::from_bytes(seed.0));
        let Caller { tenant, key_kind, .. } = self.caller;
        let (request, deadline) = (self.request_id, self.deadline);
        GenerationContext { request, generation, tenant, credits, key_kind, deadline }
    }
}

/// The tokens of a session as a reply: the refresh token in the cookie for a browser, else in the body.
pub fn with_tokens<T>(
    issued: IssuedTokens,
    by_cookie: bool,
    reply: impl FnOnce(SessionTokens) -> T,
) -> Reply<T> {
    let cookie = by_cookie.then(|| refresh_cookie(Some(&issued.refresh_token), IDLE_MAX));
    let tokens = SessionTokens {
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
    /// The pages of the list of this name.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment, list: &'static str) -> Result<Self, StartError> {
        Ok(Self { cursors: Cursors::connect(environment).await?, list })
    }

    /// The position after which a page begins.
    ///
    /// # Errors
    /// 400 for a cursor of another list or tenant.
    pub fn after(&self, tenant: TenantCtx, query: &PageQuery) -> Result<Option<String>, Problem> {
        let open = |cursor: &str| self.cursors.open(tenant, self.list, cursor);
        Ok(query.cursor.as_deref().map(open).transpose()?)
    }

    /// A page of items in the form of the contract.
    pub fn page<T>(&self, tenant: TenantCtx, found: dynamo::ItemPage<T>) -> Page<T> {
        let next_cursor = found.last_sk.map(|position| self.cursors.seal(tenant, self.list, &position));
        Page { data: found.items, has_more: next_cursor.is_some(), next_cursor }
    }
}
