//! HTTP: how requests become types, and how replies and problems become responses.
//!
//! Invariant: no module below this one knows a status, a header or a media type.

mod causes;
mod events;
mod incoming;
mod problem;
mod reply;

pub use events::{EventSender, EventStream};
pub use incoming::HttpRequest;
pub(crate) use incoming::{is_method, parameters_of};
pub(crate) use problem::level;
pub use problem::{Problem, ProblemKind};
pub(crate) use reply::{DEVICE_COOKIE, REFRESH_COOKIE};
pub use reply::{HttpResponse, Reply, StreamedBody, device_cookie, refresh_cookie};
