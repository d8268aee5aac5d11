//! Equal requests in environments that share nothing but Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use local::wait::until;
use local::wire::{Wire, WireMode};
use shared::clock::Deadline;
use shared::fleet::coalesce::{Coalescer, ResultLifetime, SharedWork, WorkTurn};
use shared::fleet::gate::{Gate, GateAnswer, GateQuestion};
use shared::metrics::CoalescingRole;
use shared::redis::Redis;

use crate::{Database, soon};

const HOUR: Duration = Duration::from_secs(3600);
/// A quarter of a stage's. A leader renews it after half of it, which a busy machine has to keep to.
const LEASE: Duration = Duration::from_secs(1);

/// An environment with its own client.
struct Environment {
    gate: Gate,
    coalescer: Coalescer,
    redis: Arc<Redis>,
}

impl Environment {
    fn of(database: &Database) -> Self {
        Self::on(&database.wire)
    }

    fn on(wire: &Wire) -> Self {
        let client = || Database::environment_on(wire);
        Self { gate: Gate::new(client(), HOUR), coalescer: Coalescer::new(client()), redis: client() }
    }

    /// The result under a key of Redis, or the lock; nothing where there is none.
    async fn stored(&self, key: &str) -> Option<String> {
        self.redis.command("GET", &[key], soon()).await.unwrap().text().map(str::to_owned)
    }

    async fn turn(&self, share: &SharedWork) -> WorkTurn {
        match self
            .gate
            .ask(&GateQuestion { shared_work: Some(share), cost: Some(1), ..GateQuestion::default() }, soon())
            .await
        {
            GateAnswer::Admitted(passed) => passed.turn,
            other => panic!("{other:?}"),
        }
    }

    /// A request that computes `result` where it has to.
    async fn request(
        &self,
        share: &SharedWork,
        compute: impl AsyncFnOnce() -> (String, ResultLifetime),
    ) -> (String, CoalescingRole) {
        let turn = self.turn(share).await;
        self.coalescer.once(share, turn, soon(), compute).await
    }
}

fn share(fresh: Duration, stale: Duration) -> SharedWork {
    SharedWork::new(&["ten_1", "x"], fresh, stale, Duration::from_millis(100)).with_lease(LEASE)
}

#[tokio::test]
async fn two_hundred_equal_requests_over_twenty_environments_make_one_call() {
    let database = Database::start().await;
    let fleet: Vec<_> = (0..20).map(|_| Environment::of(&database)).collect();
    let made = Arc::new(AtomicUsize::new(0));
    let requests = (0..200).map(|i| {
        let (environment, made) = (&fleet[i % 20], Arc::clone(&made));
        async move {
            let compute = async || {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(300)).await;
                ("result".to_owned(), ResultLifetime::Full)
            };
            environment.request(&share(HOUR, HOUR), compute).await
        }
    });
    let answers = futures_util::future::join_all(requests).await;
    assert_eq!(made.load(Ordering::SeqCst), 1);
    assert!(answers.iter().all(|(result, _)| result == "result"));
    assert_eq!(answers.iter().filter(|(_, role)| *role == CoalescingRole::Leader).count(), 1);
}

#[tokio::test]
async fn when_a_leader_dies_exactly_one_follower_takes_over() {
    let database = Database::start().await;
    let (dead, fleet) = (Environment::of(&database), (0..8).map(|_| Environment::of(&database)));
    let fleet: Vec<_> = fleet.collect();
    let (what, begun) = (share(HOUR, HOUR), std::time::Instant::now());
    assert_eq!(dead.turn(&what).await, WorkTurn::Lead);
    let made = Arc::new(AtomicUsize::new(0));
    let requests = fleet.iter().map(|environment| {
        let made = Arc::clone(&made);
        async move {
            let compute = async || {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(200)).await;
                ("second".to_owned(), ResultLifetime::Full)
            };
            environment.request(&share(HOUR, HOUR), compute).await
        }
    });
    let answers = futures_util::future::join_all(requests).await;
    assert_eq!(made.load(Ordering::SeqCst), 1);
    assert_eq!(answers.iter().filter(|(_, role)| *role == CoalescingRole::Successor).count(), 1);
    assert!(answers.iter().all(|(result, _)| result == "second"));
    assert!(begun.elapsed() >= LEASE, "not before its lease was over");
    // The dead one comes back and wants to publish.
    let late = dead
        .coalescer
        .once(&what, WorkTurn::Lead, soon(), async || ("stale".to_owned(), ResultLifetime::Full))
        .await;
    assert_eq!(late.0, "stale", "its own caller is answered");
    let (kept, role) = fleet[0].request(&share(HOUR, HOUR), async || unreachable!("it is there")).await;
    assert_eq!((kept.as_str(), role), ("second", CoalescingRole::Cached), "nobody else is");
}

/// Between a follower's look and its attempt to take over, the slow wire leaves 300 ms, in which the successor publishes.
#[tokio::test]
async fn a_follower_that_looked_before_the_result_came_does_not_take_over_after_it() {
    let database = Database::start().await;
    let wire = Wire::to(database.upstash.address()).await.unwrap();
    let (dead, successor) = (Environment::of(&database), Environment::of(&database));
    let followers: Vec<_> = (0..12).map(|_| Environment::on(&wire)).collect();
    let what = share(HOUR, HOUR);
    assert_eq!(dead.turn(&what).await, WorkTurn::Lead);
    let mut waiting = Vec::new();
    for follower in &followers {
        let work = share(HOUR, HOUR);
        let WorkTurn::Follow(wait) = follower.turn(&work).await else { panic!("there is a leader") };
        waiting.push((follower, work, wait));
    }
    wire.set(WireMode::Slow(Duration::from_millis(150)));
    let made = AtomicUsize::new(0);
    let compute = async || {
        made.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(LEASE / 4).await;
        ("second".to_owned(), ResultLifetime::Full)
    };
    // They begin one after another, so that some of them have just looked whenever the result comes.
    let following = waiting.iter().zip(0..).map(async |((follower, work, wait), place)| {
        tokio::time::sleep(Duration::from_millis(50) * place).await;
        follower.coalescer.once(work, WorkTurn::Follow(*wait), soon(), compute).await
    });
    let succeeding = async {
        until("the dead leader's lease is over", async || successor.stored(&what.keys()[1]).await.is_none())
            .await;
        successor.request(&share(HOUR, HOUR), compute).await
    };
    let (_, answers) = tokio::join!(succeeding, futures_util::future::join_all(following));
    assert!(answers.iter().all(|(result, _)| result == "second"));
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_leader_that_works_for_longer_than_its_lease_keeps_the_lead() {
    let database = Database::start().await;
    let (one, other) = (Environment::of(&database), Environment::of(&database));
    let slow = async || {
        tokio::time::sleep(LEASE + LEASE / 2).await;
        ("slow".to_owned(), ResultLifetime::Full)
    };
    let (what, same) = (share(HOUR, HOUR), share(HOUR, HOUR));
    let follower = async {
        until("somebody leads", async || other.stored(&same.keys()[1]).await.is_some()).await;
        other.request(&same, async || unreachable!("there is a leader")).await
    };
    let (led, followed) = tokio::join!(one.request(&what, slow), follower);
    assert_eq!((led.1, followed.1), (CoalescingRole::Leader, CoalescingRole::Follower));
}

#[tokio::test]
async fn a_leader_that_gives_up_lets_another_compute_at_once() {
    let database = Database::start().await;
    let (one, other) = (Environment::of(&database), Environment::of(&database));
    let (what, same) = (share(HOUR, HOUR), share(HOUR, HOUR));
    let follows = tokio::sync::Notify::new();
    let gives_up = async || {
        follows.notified().await;
        ("mine alone".to_owned(), ResultLifetime::Nothing)
    };
    let follower = async {
        until("somebody leads", async || other.stored(&same.keys()[1]).await.is_some()).await;
        let turn = other.turn(&same).await;
        assert!(matches!(turn, WorkTurn::Follow(_)), "{turn:?}");
        follows.notify_one();
        let begun = std::time::Instant::now();
        let again = async || ("again".to_owned(), ResultLifetime::Full);
        let answer = other.coalescer.once(&same, turn, soon(), again).await;
        (answer, begun.elapsed())
    };
    let (_, ((result, role), waited)) = tokio::join!(one.request(&what, gives_up), follower);
    assert_eq!((result.as_str(), role), ("again", CoalescingRole::Successor));
    assert!(waited < LEASE);
}

#[tokio::test]
async fn a_stale_result_serves_all_but_the_one_that_makes_a_new_one() {
    let database = Database::start().await;
    let fleet: Vec<_> = (0..6).map(|_| Environment::of(&database)).collect();
    let brief = || share(Duration::from_millis(50), HOUR);
    fleet[0].request(&brief(), async || ("old".to_owned(), ResultLifetime::Full)).await;
    // Fresh for 50 ms, and an hour older than that.
    tokio::time::sleep(Duration::from_millis(51)).await;
    let served = Arc::new(tokio::sync::Semaphore::new(0));
    let requests = fleet.iter().map(|environment| {
        let served = Arc::clone(&served);
        async move {
            let renew = async || {
                // The new one is not there before all others were served.
                let _others = served.acquire_many(5).await;
                ("new".to_owned(), ResultLifetime::Full)
            };
            let answer = environment.request(&brief(), renew).await;
            served.add_permits(1);
            answer
        }
    });
    let answers = futures_util::future::join_all(requests).await;
    let count = |result: &str, of: CoalescingRole| {
        answers.iter().filter(|(r, role)| r == result && *role == of).count()
    };
    assert_eq!(
        (count("new", CoalescingRole::Leader), count("old", CoalescingRole::Stale)),
        (1, 5),
        "{answers:?}"
    );
}

#[tokio::test]
async fn what_went_wrong_is_shared_only_briefly() {
    let database = Database::start().await;
    let one = Environment::of(&database);
    let what = || share(HOUR, HOUR);
    one.request(&what(), async || ("worse".to_owned(), ResultLifetime::Brief)).await;
    let (_, role) = one.request(&what(), async || unreachable!("it is there")).await;
    assert_eq!(role, CoalescingRole::Cached);
    let begun = std::time::Instant::now();
    until("it is forgotten", async || one.stored(&what().keys()[0]).await.is_none()).await;
    assert!(begun.elapsed() <= LEASE, "half a lease, and a look");
    let (result, role) = one.request(&what(), async || ("better".to_owned(), ResultLifetime::Full)).await;
    assert_eq!((result.as_str(), role), ("better", CoalescingRole::Leader));
}

#[tokio::test]
async fn a_result_that_is_too_large_is_computed_by_each() {
    let database = Database::start().await;
    let one = Environment::of(&database);
    let large = || "x".repeat(70_000);
    let what = || share(HOUR, HOUR);
    one.request(&what(), async || (large(), ResultLifetime::Full)).await;
    let (result, role) = one.request(&what(), async || (large(), ResultLifetime::Full)).await;
    assert_eq!((result.len(), role), (70_000, CoalescingRole::Alone));
}

#[tokio::test]
async fn followers_compute_alone_when_redis_goes_away_or_their_deadline_comes() {
    let database = Database::start().await;
    let (leader, follower) = (Environment::of(&database), Environment::of(&database));
    assert_eq!(leader.turn(&share(HOUR, HOUR)).await, WorkTurn::Lead);
    let turn = follower.turn(&share(HOUR, HOUR)).await;
    assert!(matches!(turn, WorkTurn::Follow(_)), "{turn:?}");
    let short = Deadline::after(Duration::from_millis(1_800));
    let compute = async || ("own".to_owned(), ResultLifetime::Full);
    let (_, role) = follower.coalescer.once(&share(HOUR, HOUR), turn, short, compute).await;
    assert_eq!(role, CoalescingRole::Alone);
    assert!(!short.left().is_zero(), "in time");
    let turn = follower.turn(&share(HOUR, HOUR)).await;
    database.wire.set(WireMode::Cut);
    let (_, role) = follower.coalescer.once(&share(HOUR, HOUR), turn, soon(), compute).await;
    assert_eq!(role, CoalescingRole::Alone);
}
