//! What runs a function, by what starts it: a request, a schedule or a change of the tenants' table.
//!
//! All three begin with the log and an [`Environment`](crate::environment::Environment), have a deadline, count how they
//! ended, write one line, and have their counts written before the environment is gone.

mod handler;
mod http;
mod log;
mod run;
mod schedule;
mod shutdown;
mod table_stream;

pub use http::Function;
pub use lambda_http::Error;
pub use schedule::on_schedule;
pub use table_stream::on_stream;
