//! `GET /api/openapi.json` and `GET /api/docs`: the documentation of this API, for programs and for people.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use shared::contract::openapi::{Document, GetDocs, GetDocument};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

/// The OpenAPI document, generated from the contract; a test compares the two.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
const PAGE: &str = include_str!("docs.html");
const CACHE: &str = "public, max-age=300";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<ServeDocument>().answers::<ServeDocs>().serve().await
}

struct ServeDocument;

impl Endpoint for ServeDocument {
    type Contract = GetDocument;

    async fn connect(_: &Environment) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn handle(&self, _: Call<GetDocument>) -> Result<Reply<Document>, Problem> {
        Ok(Reply::text(DOCUMENT).header(CACHE_CONTROL, CACHE))
    }
}

struct ServeDocs;

impl Endpoint for ServeDocs {
    type Contract = GetDocs;

    async fn connect(_: &Environment) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn handle(&self, _: Call<GetDocs>) -> Result<Reply<Document>, Problem> {
        Ok(Reply::text(PAGE).header(CACHE_CONTROL, CACHE).header(CONTENT_SECURITY_POLICY, &POLICY))
    }
}

/// The `Content-Security-Policy` of the page: it allows the page's own script and style, by their hashes, and no
/// others.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |tag: &str| {
        let after_tag = PAGE.split_once(&format!("<{tag}>")).map_or("", |(_, rest)| rest);
        let content = after_tag.split_once(&format!("</{tag}>")).map_or("", |(content, _)| content);
        let digest = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
        STANDARD.encode(digest.as_ref())
    };
    let (style, script) = (hash("style"), hash("script"));
    format!(
        "default-src 'none'; connect-src 'self'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; frame-ancestors 'none'"
    )
});
