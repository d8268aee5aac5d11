//! The library that all Lambda functions of Huntaze are built on. A module imports only from its own line of this
//! drawing and from the lines below it; `shared/tests/tidy.rs` reads the drawing and fails where the code does
//! otherwise.
//!
//! ```text
//! serve                                     runs a function: cold start, then each request from top to bottom
//! work                                      turns requests that take too long into jobs, and does the jobs
//! endpoint                                  the traits that a function implements, and the calls it answers
//! guard                                     decides who is calling, and whether they may
//! http                                      requests, replies and problems
//! content                                   the product: ideas, messages, price advice, the assistant
//! ai                                        the gateway to language models
//! auth                                      accounts, sessions, tokens and API keys
//! tenants                                   the stores of the tenants' data: no HTTP, no SDK types
//! fleet                                     what all environments share through Redis, and its Lua scripts
//! environment                               what one execution environment has: settings, secrets, clients
//! dynamo  redis  outbound  secrets          adapters: the only files that name an SDK
//! metrics                                   the counters and histograms
//! telemetry                                 the log
//! settings  clock  random                   basics that depend on nothing else here
//! ```
//!
//! Two more packages lie below this one: `contract` (the API as types) and `pricing` (the mathematics of demand).
//! They are packages of their own so that the compiler keeps every kind of I/O out of them.

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
