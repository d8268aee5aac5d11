//! The endpoint that answers both routes for ideas: the one with a profile, and the one with a brief.

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

/// Answers a contract whose body can be read as an order for ideas.
pub struct ProposeIdeas<C> {
    ideas: Ideas,
    jobs: Jobs,
    contract: PhantomData<fn() -> C>,
}

/// How a request for ideas will be answered.
pub enum IdeaPlan {
    /// With a job, because the request is long or the caller prefers one.
    Job,
    /// With the ideas themselves; `prepare` has read the creator.
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
        let ideas = Ideas::connect(environment).await?;
        let jobs = Jobs::connect(environment).await?;
        Ok(Self { ideas, jobs, contract: PhantomData })
    }

    async fn prepare(&self, request: &ParsedRequest<C>) -> Result<(IdeaPlan, Demand), Problem> {
        let caller = &request.caller;
        let order = IdeaOrder::try_from(&request.body)?;
        let cost = order.options.weight();
        if request.prefers_job || order.options.is_long() {
            // The job will read the posts itself. All to check now is that the creator exists, so that the caller
            // gets 404 at once and not from the job.
            self.ideas.check(caller.tenant, &order).await?;
            return Ok((IdeaPlan::Job, Demand { cost, is_brief: true, ..Demand::default() }));
        }
        let (creator, shared_work) = self.ideas.prepare(caller.tenant, &order).await?;
        Ok((IdeaPlan::Now(Box::new((order, creator))), Demand { cost, shared_work, ..Demand::default() }))
    }

    async fn handle(&self, mut call: Call<C>, plan: IdeaPlan) -> Result<Reply<IdeaBatch>, Problem> {
        let IdeaPlan::Now(order_and_creator) = plan else {
            return queue(&self.jobs, &call, &call.body.clone().into()).await;
        };
        let (order, creator) = *order_and_creator;
        let context = call.generation();
        let batch = match call.take_turn() {
            Some((work, turn)) => {
                self.ideas.generate_shared(context, &creator, &order.options, &work, turn).await?
            }
            None => self.ideas.generate(context, &creator, &order.options).await?,
        };
        Ok(batch.into())
    }
}
