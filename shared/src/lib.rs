//! What the functions of Huntaze share. Each module imports only from those below it:
//!
//! ```text
//! serve                                           cold start, then one request from top to bottom
//! endpoint                                        what a function implements
//! guard                                           who calls, and within which budget
//! http                                            requests, replies, problems
//! environment                                     what an execution environment has
//! content                                         the product: what creators pay for
//! ai                                              the gateway to language models
//! auth                                            who somebody is
//! tenants  limits                                 domains: no HTTP, no SDK types
//! dynamo  redis  outbound  secrets                adapters: the only files that name their SDK
//! contract  settings  telemetry  clock            ground: words, not behaviour
//! ```

pub mod ai;
pub mod auth;
pub mod clock;
pub mod content;
pub mod contract;
pub mod dynamo;
pub mod endpoint;
pub mod environment;
pub mod guard;
pub mod http;
pub mod limits;
pub mod outbound;
pub mod redis;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod telemetry;
pub mod tenants;
