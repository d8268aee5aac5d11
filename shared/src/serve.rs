//! Runs a Lambda function, whatever starts it: a request, a schedule, or a change in the tenants' table.
//!
//! In all three cases the log is started and an [`Environment`](crate::environment::Environment) is made; each run
//! has a deadline, is counted with its outcome and writes one line of the log; and the metrics are flushed to Redis
//! before the environment is gone.

mod guarded;
mod handler;
mod http;
mod log;
mod renewal;
mod run;
mod schedule;
mod services;
mod shutdown;
mod table_stream;

pub use http::Function;
pub use lambda_http::Error;
pub use schedule::on_schedule;
pub use table_stream::on_stream;
