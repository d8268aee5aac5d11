//! The first tenant of a local stage, and the welcome that a newcomer reads. The tenant is made through the API, as
//! anybody would make one.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::LocalError;

/// An account of a tenant, with an API key that has every scope.
#[derive(Debug, Serialize, Deserialize)]
pub struct Demo {
    /// The e-mail address to sign in with.
    pub email: String,
    pub password: String,
    /// An API key with every scope.
    pub key: String,
}

fn failed(why: impl Into<String>) -> LocalError {
    LocalError::Part { part: "the demo tenant", why: why.into() }
}

impl Demo {
    /// Reads the demo tenant from `file`, or makes one and writes it there.
    ///
    /// # Errors
    /// [`LocalError`] when the API refuses to make one, or the file cannot be read or written.
    pub async fn load_or_create(api: &str, file: &Path) -> Result<Self, LocalError> {
        if let Ok(text) = std::fs::read_to_string(file) {
            return serde_json::from_str(&text).map_err(|error| {
                failed(format!("{} is damaged ({error}); start with --fresh", file.display()))
            });
        }
        let demo = Self::create(api, "demo@example.com").await?;
        let text = serde_json::to_string_pretty(&demo).unwrap_or_default();
        std::fs::write(file, text).map_err(LocalError::io(format!("writing {}", file.display())))?;
        Ok(demo)
    }

    /// Signs up, signs in and makes a key.
    ///
    /// # Errors
    /// [`LocalError`] with the answer of the API that was no success.
    pub async fn create(api: &str, email: &str) -> Result<Self, LocalError> {
        let password = "violet tractor sings at noon".to_owned();
        let http = shared::outbound::client(api, Duration::from_secs(5))
            .map_err(|error| failed(error.to_string()))?;
        let post = async |path: &str, token: &str, body: Value| -> Result<Value, LocalError> {
            let request = http.post(format!("{api}{path}")).header("content-type", "application/json");
            let request = request.header("authorization", format!("Bearer {token}")).body(body.to_string());
            let answer = request.send().await.map_err(|error| failed(format!("{path}: {error}")))?;
            let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
            if !status.is_success() {
                return Err(failed(format!("{path} answered {status}: {text}")));
            }
            serde_json::from_str(&text).map_err(|error| failed(format!("{path}: {error}")))
        };
        let account =
            json!({"email": email, "password": password, "name": "Demo", "tenantName": "Demo Studio"});
        post("/api/auth/signup", "", account).await?;
        let session = post("/api/auth/signin", "", json!({"email": email, "password": password})).await?;
        let token = session["accessToken"].as_str().unwrap_or_default();
        let scopes: Vec<_> = shared::contract::Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let key = post("/api/keys", token, json!({"name": "demo", "scopes": scopes})).await?;
        let key = key["key"].as_str().ok_or_else(|| failed("no key in the answer"))?.to_owned();
        Ok(Self { email: email.to_owned(), password, key })
    }

    /// The text that greets a newcomer: where everything is, and requests that are ready to paste.
    pub fn welcome(&self, api: &str, stream: &str, logs: &str, scrape_token: &str) -> String {
        let json = "-H 'content-type: application/json'";
        let Self { email, password, key } = self;
        format!(
            "ready {api}

key      {key}
sign-in  {email} / {password}
docs     {api}/api/docs
stream   {stream}
scrape token: {scrape_token}
logs     {logs}

Ideas for a creator:
curl -sSw '\\n' {api}/api/content-ideas/generate -H 'authorization: Bearer {key}' {json} -d '{{\"profile\":{{\"niche\":\"home cooking\",\"platforms\":[\"instagram\"],\"goals\":[\"grow\"]}},\"options\":{{\"count\":2}}}}'

A price, from what was offered and sold:
curl -sSw '\\n' {api}/api/ai-assistant/tools/pricing-optimizer -H 'authorization: Bearer {key}' {json} -d '{{\"product\":{{\"type\":\"message\",\"currentPriceCents\":900,\"feePct\":20,\"currency\":\"USD\"}},\"offers\":[{{\"priceCents\":900,\"offered\":180,\"sold\":84}},{{\"priceCents\":1200,\"offered\":90,\"sold\":33}}]}}'

An account of your own:
curl -sSw '\\n' {api}/api/auth/signup {json} -d '{{\"email\":\"ana@example.com\",\"password\":\"correct horse battery staple\",\"name\":\"Ana\",\"tenantName\":\"Ana Studio\"}}'

Another key, which can only make content:
curl -sSw '\\n' {api}/api/keys -H 'authorization: Bearer {key}' {json} -d '{{\"name\":\"ci\",\"scopes\":[\"content:write\"]}}'

The assistant, piece by piece:
curl -sN {stream}/api/ai-assistant/generate -H 'authorization: Bearer {key}' {json} -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"How does my account stand?\"}}],\"tools\":[\"usage\"]}}'

What the fleet counts:
curl -sS {api}/api/metrics -H 'authorization: Bearer {scrape_token}'

Ctrl-C stops everything."
        )
    }
}
