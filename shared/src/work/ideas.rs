//! The endpoint of both routes for ideas: with a profile, and with a brief.

use std::marker::PhantomData;

use super::queue;
use crate::content::{CreatorContext, IdeaOrder, Ideas, ProfileError};
use crate::contract::content_ideas::IdeaBatch;
use crate::contract::{BodyIn, Json, SomeCaller};
use crate::endpoint::{Call, ParsedRequest, PreparedEndpoint, ServedContract};
use crate::environment::{Environment, StartError};
use crate::guard::Demand;
use crate::http::{Problem, Reply};
use crate::tenants::jobs::{JobTask, Jobs};

/// Proposes ideas for a contract whose body is an order for them.
pub struct ProposeIdeas<C> {
    ideas: Ideas,
    jobs: Jobs,
    contract: PhantomData<fn() -> C>,
}

/// How a request for ideas is answered.
pub enum IdeaPlan {
    /// With a job: it is long, or the caller prefers that.
    Job,
    /// With the ideas themselves, from what was read of the creator.
    Now(Box<(IdeaOrder, CreatorContext)>),
}

impl<C> PreparedEndpoint for ProposeIdeas<C>
where
    C: ServedContract<Caller = SomeCaller, Reply = Json<IdeaBatch>>,
    BodyIn<C>: Clone + Into<JobTask>,
    for<'a> IdeaOrder: TryFrom<&'a BodyIn<C>, Error = ProfileError>,
{
    type Contract = C;
    type Prepared = IdeaPlan;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let (ideas, jobs) = (Ideas::connect(environment).await?, Jobs::connect(environment).await?);
        Ok(Self { ideas, jobs, contract: PhantomData })
    }

    async fn prepare(&self, request: &ParsedRequest<C>) -> Result<(IdeaPlan, Demand), Problem> {
        let (caller, order) = (&request.caller, IdeaOrder::try_from(&request.body)?);
        let cost = order.options.weight();
        if request.prefers_job || order.options.is_long() {
            // The job reads the posts itself; here only a creator that is not there is worth knowing.
            self.ideas.check(caller.tenant, &order).await?;
            return Ok((IdeaPlan::Job, Demand { cost, shared_work: None }));
        }
        let about = self.ideas.context(caller.tenant, &order).await?;
        let shared_work = self.ideas.shared_work(caller.tenant, caller.key_kind, &about, &order.options);
        Ok((IdeaPlan::Now(Box::new((order, about))), Demand { cost, shared_work }))
    }

    async fn handle(&self, mut call: Call<C>, plan: IdeaPlan) -> Result<Reply<IdeaBatch>, Problem> {
        let IdeaPlan::Now(read) = plan else {
            return queue(&self.jobs, &call, &call.body.clone().into()).await;
        };
        let (order, about) = *read;
        let context = call.generation(order.options.weight());
        let batch = match call.take_turn() {
            Some((work, turn)) => {
                self.ideas.generate_shared(context, &about, &order.options, &work, turn).await?
            }
            None => self.ideas.generate(context, &about, &order.options).await?,
        };
        Ok(batch.into())
    }
}
