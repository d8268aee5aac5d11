//! What the functions of Huntaze share. Each module imports only from those below it; `shared/tests/tidy.rs` reads this
//! drawing and holds the code to it.
//!
//! ```text
//! serve                                     cold start, then one request from top to bottom
//! work                                      how long requests become jobs, and jobs are done
//! endpoint                                  what a function implements
//! guard                                     who calls, and within which budget
//! http                                      requests, replies, problems
//! content                                   the product: what creators pay for
//! ai                                        the gateway to language models
//! auth                                      who somebody is
//! tenants                                   the stores of the tenants: no HTTP, no SDK types
//! fleet                                     what all environments share through Redis, and its scripts
//! environment                               what an execution environment has: settings, secrets, clients
//! dynamo  redis  outbound  secrets          adapters: the only files that name their SDK
//! metrics                                   what is counted
//! telemetry                                 what is logged
//! settings  clock  random                   ground: words, not behaviour
//! ```
//!
//! Below the ground are packages of their own, which rustc keeps from every kind of I/O: `contract` (the API in words) and
//! `pricing` (the mathematics of demand).

pub use contract;

pub mod ai;
pub mod auth;
pub mod clock;
pub mod content;
pub mod dynamo;
pub mod endpoint;
pub mod environment;
pub mod fleet;
pub mod guard;
pub mod http;
pub mod metrics;
pub mod outbound;
pub mod random;
pub mod redis;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod telemetry;
pub mod tenants;
pub mod work;
