//! The traits that a function implements, [`Endpoint`] and [`PreparedEndpoint`], and the calls that they answer.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use crate::auth::access_token::LIFETIME;
use crate::auth::key_store::KeyIssuer;
use crate::auth::sessions::IDLE_MAX;
use crate::auth::signin::IssuedTokens;
use crate::clock::Deadline;
use crate::content::GenerationContext;
use crate::contract::auth::SessionTokens;
use crate::contract::ids::{CreatorId, GenerationId, RequestId};
use crate::contract::page::{Page, PageQuery};
use crate::contract::{BodyIn, CallerMarker, Contract, NoCaller, ReplyIn, SomeCaller};
use crate::dynamo;
use crate::environment::{Environment, StartError};
use crate::fleet::coalesce::{SharedWork, WorkTurn};
use crate::fleet::idempotency::IdSeed;
use crate::guard::{Admission, Caller, Demand};
use crate::http::{DEVICE_COOKIE, HttpRequest, Problem, REFRESH_COOKIE, Reply, refresh_cookie};
use crate::tenants::TenantCtx;
use crate::tenants::cursor::Cursors;
use crate::tenants::records::{Actor, Origin};

/// Maps a contract's marker to the type of its calls' `caller` field.
pub trait CallerOf: CallerMarker {
    /// [`Caller`] for a route with callers, `()` for one without.
    type Value: Clone + Send + Sync;

    /// The value of the field, from the caller whom the guard identified.
    ///
    /// # Errors
    /// 500 where the contract promises a caller and the guard found none; `Function::answers` rules that out.
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

/// A contract that endpoints can answer. Every contract is one: its marker is [`SomeCaller`] or [`NoCaller`].
pub trait ServedContract: Contract<Caller: CallerOf> {}

impl<C: Contract<Caller: CallerOf>> ServedContract for C {}

/// The type of the `caller` field in the calls of a contract: [`Caller`] or `()`.
pub type CallerIn<C> = <<C as Contract>::Caller as CallerOf>::Value;

/// An endpoint: a struct of exactly the services that it needs to answer one contract.
pub trait Endpoint: Send + Sync + Sized + 'static {
    /// The contract that the endpoint answers.
    type Contract: ServedContract;

    /// Makes the endpoint from the services of the environment. Called until it succeeds, and then not again.
    ///
    /// # Errors
    /// [`StartError`]: until it succeeds, requests are answered with 503.
    fn connect(environment: &Environment) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Answers one admitted call.
    ///
    /// # Errors
    /// [`Problem`]: what the caller is told, and the cause for our log.
    fn handle(
        &self,
        call: Call<Self::Contract>,
    ) -> impl Future<Output = Result<Reply<ReplyIn<Self::Contract>>, Problem>> + Send;
}

/// An endpoint that looks at a request before the guard admits it: to say how many calls it counts as, or which other
/// requests are equal to it.
///
/// What it reads for that is passed on to [`handle`](Self::handle). Every [`Endpoint`] is a `PreparedEndpoint` too, one
/// that counts each request as one call and prepares nothing.
pub trait PreparedEndpoint: Send + Sync + Sized + 'static {
    /// The contract that the endpoint answers.
    type Contract: ServedContract;
    /// What [`prepare`](Self::prepare) passes on to [`handle`](Self::handle).
    type Prepared: Send;

    /// Makes the endpoint, as [`Endpoint::connect`] does.
    ///
    /// # Errors
    /// [`StartError`]
    fn connect(environment: &Environment) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Looks at a request before it is admitted. Its caller is known and has the scope that the route asks for.
    ///
    /// # Errors
    /// [`Problem`]: the caller gets it only if the limits admit the request.
    fn prepare(
        &self,
        request: &ParsedRequest<Self::Contract>,
    ) -> impl Future<Output = Result<(Self::Prepared, Demand), Problem>> + Send;

    /// Answers one admitted call with what was prepared for it.
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

/// A request that was parsed into the types of its contract, and is not admitted yet.
pub struct ParsedRequest<C: ServedContract> {
    pub path: C::Path,
    pub query: C::Query,
    pub body: BodyIn<C>,
    /// The caller; `()` on a route without callers.
    pub caller: CallerIn<C>,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    /// Whether the client sent `Prefer: respond-async` and so would rather have a job than wait.
    pub prefers_job: bool,
}

impl<C: ServedContract> ParsedRequest<C> {
    /// Parses the path, the query and the body of a request.
    ///
    /// # Errors
    /// [`Problem`] where the path, the query or the body does not fit the contract's types.
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

/// A request that was admitted. It takes an [`Admission`] to make one, and only the guard makes an `Admission`.
pub struct Call<C: ServedContract> {
    pub path: C::Path,
    pub query: C::Query,
    pub body: BodyIn<C>,
    /// The caller; `()` on a route without callers.
    pub caller: CallerIn<C>,
    /// The request's identifier, as in the header `x-request-id`.
    pub request_id: RequestId,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    incoming: Arc<HttpRequest>,
    admission: Admission,
}

impl<C: ServedContract> Call<C> {
    pub(crate) fn new(request: ParsedRequest<C>, incoming: Arc<HttpRequest>, admission: Admission) -> Self {
        let ParsedRequest { path, query, body, caller, deadline, .. } = request;
        let request_id = incoming.request_id;
        Self { path, query, body, caller, request_id, deadline, incoming, admission }
    }

    /// The seed for the identifier of what the call creates: the same in every attempt under one idempotency key, and
    /// none without a key.
    pub const fn seed(&self) -> Option<IdSeed> {
        self.admission.seed()
    }

    /// Takes out the work that the call shares with equal calls and its turn in it; none the second time.
    pub fn take_turn(&mut self) -> Option<(SharedWork, WorkTurn)> {
        self.admission.take_turn()
    }

    /// Whether the client's `Accept` header names this media type and rules JSON out.
    pub fn accepts_only(&self, media: &str) -> bool {
        let accepted = self.incoming.header("accept").unwrap_or_default().to_lowercase();
        accepted.contains(media) && !accepted.contains("json") && !accepted.contains("*/*")
    }

    /// What counts as one client under limits: an IPv4 address, or the IPv6 network of one subscriber.
    pub fn ip_block(&self) -> String {
        self.incoming.ip_block()
    }

    /// Where the request comes from, as the audit trail tells it.
    pub fn origin(&self) -> Origin {
        self.incoming.origin()
    }

    /// The device token that the client sent in its cookie.
    pub fn device_cookie(&self) -> Option<&str> {
        self.incoming.cookie(DEVICE_COOKIE)
    }

    /// The refresh token that the client sent in its cookie.
    pub fn refresh_cookie(&self) -> Option<&str> {
        self.incoming.cookie(REFRESH_COOKIE)
    }

    /// Whether the client is a browser, which gets its refresh token in a cookie that scripts cannot read.
    pub fn is_browser(&self) -> bool {
        self.incoming.header("sec-fetch-site").is_some()
    }
}

impl<C: ServedContract<Caller = SomeCaller>> Call<C> {
    /// Who calls, and from where, as the audit trail tells it.
    pub fn actor(&self) -> Actor {
        Actor { id: self.caller.actor(), origin: self.origin() }
    }

    /// The caller as the issuer or the manager of API keys.
    pub fn issuer(&self) -> KeyIssuer<'_> {
        self.caller.issuer(self.actor(), self.seed())
    }

    /// The context of what the call generates.
    pub fn generation(&self) -> GenerationContext {
        let generation =
            self.seed().map_or_else(GenerationId::generate, |seed| GenerationId::from_bytes(seed.0));
        GenerationContext {
            request: self.request_id,
            generation,
            tenant: self.caller.tenant,
            may_pay: true,
            deadline: self.deadline,
        }
    }
}

/// A reply with the tokens of a session: the refresh token goes into a cookie if `by_cookie`, and into the body if not.
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

/// The cursors of one paged list: reads the cursor of a request and makes the one of the next page.
pub struct Pages {
    cursors: Cursors,
    list: Cow<'static, str>,
}

impl Pages {
    /// Connects the pages of the list with this name; a cursor is good for one list only.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment, list: &'static str) -> Result<Self, StartError> {
        Ok(Self { cursors: Cursors::connect(environment).await?, list: list.into() })
    }

    /// The pages of what the list has of one creator, for whom a cursor of another creator's is no good.
    pub fn of_creator(&self, creator: CreatorId) -> Self {
        Self { cursors: self.cursors.clone(), list: format!("{} of {creator}", self.list).into() }
    }

    /// The position after which the requested page begins; none for the first page.
    ///
    /// # Errors
    /// 400 for a cursor of another list or tenant.
    pub fn after(&self, tenant: TenantCtx, query: &PageQuery) -> Result<Option<String>, Problem> {
        let open = |cursor: &str| self.cursors.open(tenant, &self.list, cursor);
        Ok(query.cursor.as_deref().map(open).transpose()?)
    }

    /// A page of items as the contract has it, with the cursor of the next page.
    pub fn page<T>(&self, tenant: TenantCtx, found: dynamo::ItemPage<T>) -> Page<T> {
        let next_cursor = found.last_sk.map(|position| self.cursors.seal(tenant, &self.list, &position));
        Page { data: found.items, has_more: next_cursor.is_some(), next_cursor }
    }
}
