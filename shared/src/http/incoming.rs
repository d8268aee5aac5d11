//! An incoming HTTP request, and how its path, query and body become the types of a contract.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{HeaderMap, HeaderValue, Method as HttpMethod};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;

use super::{Problem, ProblemKind};
use crate::clock::Deadline;
use crate::contract::ids::RequestId;
use crate::contract::{BodyFormat, Method, RequestBody, Route};
use crate::tenants::records::Origin;

/// A request for a known route, not parsed yet.
pub struct HttpRequest {
    /// The request's identifier, as in the header `x-request-id`.
    pub request_id: RequestId,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    headers: HeaderMap,
    query: String,
    parameters: BTreeMap<&'static str, String>,
    body: Body,
    ip: String,
}

impl HttpRequest {
    pub fn new(
        request: Request,
        parameters: BTreeMap<&'static str, String>,
        request_id: RequestId,
        deadline: Deadline,
    ) -> Self {
        let ip = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Self { request_id, deadline, headers: parts.headers, query, parameters, body, ip }
    }

    /// The IP address of the client, as API Gateway or the function URL saw it; empty where the event has none.
    pub fn ip(&self) -> &str {
        &self.ip
    }

    /// What counts as one client under limits: an IPv4 address, or an IPv6 /64, which is what one subscriber gets.
    pub fn ip_block(&self) -> String {
        match self.ip.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => {
                let s = ip.segments();
                format!("{:x}:{:x}:{:x}:{:x}::/64", s[0], s[1], s[2], s[3])
            }
            _ => self.ip.clone(),
        }
    }

    /// Where the request comes from, as the audit trail tells it.
    pub fn origin(&self) -> Origin {
        Origin::new(&self.ip, self.header("user-agent").unwrap_or_default())
    }

    /// The value of a header; none where it is missing or not ASCII text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the header `Prefer` contains a preference, such as `respond-async` (RFC 7240).
    pub fn prefers(&self, preference: &str) -> bool {
        let values = self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|item| {
            let name = item.split([';', '=']).next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case(preference)
        })
    }

    /// The value of a header in bytes, which need not be text.
    pub(crate) fn raw_header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    /// The parts by which two requests of one operation are the same or not: path parameters, query and body.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        let parameters = self.parameters.values().map(String::as_bytes);
        parameters.chain([self.query.as_bytes(), self.body.as_ref()]).collect()
    }

    /// The value of the cookie with this name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub fn body_bytes(&self) -> usize {
        self.body.as_ref().len()
    }

    /// Parses the path parameters. A malformed one is a 404 and not a 400: there is nothing at such a path.
    pub(crate) fn path<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let pairs = self.parameters.iter().map(|(name, value)| (*name, value.as_str()));
        T::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(pairs))
            .map_err(|error| Problem::not_found("resource").because(error))
    }

    /// Parses the query string.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let parser = serde_html_form::Deserializer::from_bytes(self.query.as_bytes());
        serde_path_to_error::deserialize(parser).map_err(|error| {
            let path = error.path().to_string();
            Problem::invalid(
                if path == "." { "?".to_owned() } else { format!("?{path}") },
                error.inner().to_string(),
            )
        })
    }

    /// Parses the body in the format that the contract reads.
    pub(crate) fn read<B: RequestBody>(&self) -> Result<B::Value, Problem> {
        match B::FORMAT {
            BodyFormat::None => json(b"{}"),
            BodyFormat::Json => self.read_json(),
            BodyFormat::Lines => self.read_lines(),
        }
    }

    /// The body as text with its format, by the media type; the lines are parsed later, where their type is known.
    fn read_lines<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let format = match self.media().as_str() {
            "application/x-ndjson" | "application/jsonl" | "application/ndjson" => "JsonLines",
            "text/csv" => "Csv",
            _ => {
                let detail =
                    "This route reads lines: send `content-type: application/x-ndjson` or `text/csv`.";
                return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
            }
        };
        let text = std::str::from_utf8(self.body.as_ref()).map_err(|error| {
            Problem::invalid("", format!("is not UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let members = [("format", format), ("text", text)];
        T::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(members.into_iter()))
            .map_err(|error| Problem::invalid("", error.to_string()))
    }

    /// The media type of the body in lower case, without parameters such as `charset`.
    fn media(&self) -> String {
        let media = self.header("content-type").unwrap_or_default();
        media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Parses the body as a JSON object. An empty body counts as `{}`, so that a client may leave out a body whose
    /// members are all optional.
    fn read_json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        match self.body.as_ref() {
            [] => json(b"{}"),
            bytes => {
                self.require_json()?;
                json(bytes)
            }
        }
    }

    fn require_json(&self) -> Result<(), Problem> {
        let media = self.header("content-type").unwrap_or_default();
        let essence = self.media();
        let is_json = essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"));
        if is_json {
            return Ok(());
        }
        let got = if media.is_empty() { "none was sent".to_owned() } else { format!("`{media}` was sent") };
        Err(Problem::new(
            ProblemKind::UnsupportedMediaType,
            format!("This route reads JSON: send `content-type: application/json` ({got})."),
        ))
    }
}

/// Parses a JSON object.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde accepts an array for a struct, with the values in the order of its fields: nobody should rely on that
    // order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| *first == b'[') {
        return Err(Problem::invalid("", "expected a JSON object, got an array"));
    }
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let pointer = pointer(error.path());
        // The parser calls `null` in the place of a name a syntax error. Whether it is one, only a whole parse tells.
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
        let is_type = is_json && !error.inner().is_data();
        let message = if is_type { "has the wrong type".to_owned() } else { explain(error.inner()) };
        Problem::invalid(pointer, message)
    })?;
    parser.end().map_err(|error| Problem::invalid("", explain(&error)))?;
    Ok(value)
}

/// The path of a member as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("{pointer}/{variant}"),
        Segment::Unknown => pointer,
    })
}

/// The parser's message for the caller: with line and column for a syntax error, and without them for a wrong value,
/// whose place the JSON pointer tells.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (message, place) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    match (error.classify(), place) {
        (serde_json::error::Category::Data, _) | (_, "") => message.to_owned(),
        (_, place) => format!("is not valid JSON: {message} at line {place}"),
    }
}

/// The parameters of a path by their names in the template, such as `/api/keys/{id}`; none where the path does not
/// match it.
pub(crate) fn parameters_of(template: &'static str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    let mut parameters = BTreeMap::new();
    let (mut expected, mut found) = (template.split('/'), path.trim_end_matches('/').split('/'));
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Some(parameters),
            (Some(expected), Some(found)) => {
                match expected.strip_prefix('{').and_then(|e| e.strip_suffix('}')) {
                    Some(name) if !found.is_empty() => {
                        parameters.insert(name, found.to_owned());
                    }
                    None if expected == found => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// Whether a route answers this method. A route for GET answers HEAD as well; the body is left out at the end.
pub(crate) fn is_method(route: &Route, method: &HttpMethod) -> bool {
    route.method.as_str() == method.as_str() || (route.method == Method::Get && method == HttpMethod::HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_its_parameters() {
        let found = parameters_of("/api/keys/{id}/rotate", "/api/keys/key_1/rotate").unwrap();
        assert_eq!(found["id"], "key_1");
        for other in
            ["/api/keys/key_1", "/api/keys//rotate", "/api/keys/key_1/rotate/x", "/api/creators/key_1/rotate"]
        {
            assert!(parameters_of("/api/keys/{id}/rotate", other).is_none(), "{other}");
        }
        assert!(parameters_of("/api/keys", "/api/keys/").is_some(), "a slash at the end changes nothing");
    }

    #[test]
    fn a_syntax_error_is_told_with_its_place_and_a_wrong_value_without() {
        let syntax = serde_json::from_str::<serde_json::Value>("{\"a\":\n }").unwrap_err();
        assert!(
            explain(&syntax).starts_with("is not valid JSON: expected value at line 2"),
            "{}",
            explain(&syntax)
        );
        let data = serde_json::from_str::<u8>("\"x\"").unwrap_err();
        assert_eq!(explain(&data), "invalid type: string \"x\", expected u8");
    }
}
