//! What the functions of Huntaze share. Each module imports only from those below it:
//!
//! ```text
//! serve                                           cold start, then one request from top to bottom
//! work                                            how long requests become jobs, and jobs are done
//! endpoint                                        what a function implements
//! guard                                           who calls, and within which budget
//! http                                            requests, replies, problems
//! environment                                     what an execution environment has
//! content                                         the product: what creators pay for
//! ai                                              the gateway to language models
//! auth                                            who somebody is
//! scrape                                          what the fleet counted
//! gate                                            what a call asks of the fleet, in one trip
//! limits  breaker  coalesce  idempotency          what the fleet shares
//! tenants                                         domains: no HTTP, no SDK types
//! pricing                                         the mathematics of demand: no I/O
//! dynamo  redis  outbound  secrets                adapters: the only files that name their SDK
//! metrics                                         what is counted
//! contract  settings  telemetry  clock  random    ground: words, not behaviour
//! ```

pub mod ai;
pub mod auth;
pub mod breaker;
pub mod clock;
pub mod coalesce;
pub mod content;
pub mod contract;
pub mod dynamo;
pub mod endpoint;
pub mod environment;
pub mod gate;
pub mod guard;
pub mod http;
pub mod idempotency;
pub mod limits;
pub mod metrics;
pub mod outbound;
pub mod pricing;
pub mod random;
pub mod redis;
pub mod scrape;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod telemetry;
pub mod tenants;
pub mod work;
