//! The OpenAPI 3.1 document, which is generated from the contracts, and the two routes that serve it.

use std::any::type_name;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::jobs::AcceptedJob;
use super::mode::MODE_HEADER;
use super::problem::{MEDIA_TYPE, ProblemBody, ProblemKind};
use super::route::BODY_BYTES_MAX;
use super::{
    Access, BodyFormat, BodyIn, Budget, Coalescing, Contract, Html, Json, Method, Mode, NoCaller, Nothing,
    ReplyBody, ReplyFormat, ReplyIn, RequestBody, Route, streams,
};

/// A text document that is sent as it is, such as this OpenAPI document.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Document(pub &'static str);

/// `GET /api/openapi.json`
pub struct GetDocument;

impl Contract for GetDocument {
    const ROUTE: Route = Route {
        function: "openapi",
        method: Method::Get,
        path: "/api/openapi.json",
        operation: "getOpenApi",
        summary: "Get the OpenAPI 3.1 document of this API.",
        access: Access::Public,
        budget: Budget::DOCUMENT,
        deadline_ms: 2_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Document>;
}

/// `GET /api/docs`
pub struct GetDocs;

impl Contract for GetDocs {
    const ROUTE: Route = Route {
        function: "openapi",
        method: Method::Get,
        path: "/api/docs",
        operation: "getDocs",
        summary: "Read the documentation of this API and try it.",
        access: Access::Public,
        budget: Budget::DOCUMENT,
        deadline_ms: 2_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Html;
}

/// A contract whose types have been erased, so that all contracts fit into one list. It keeps their JSON schemas.
pub struct Operation {
    /// The path, the method and the policy of the operation.
    pub route: &'static Route,
    /// The contract's full name in Rust, for programs that write programs.
    pub contract: &'static str,
    /// The full name of what endpoints give as the reply.
    pub reply_type: &'static str,
    /// The form of the body that clients send.
    pub reads: BodyFormat,
    /// The form of a successful answer.
    pub replies: ReplyFormat,
    /// The status of a successful answer.
    pub success: u16,
    path: fn(&mut SchemaGenerator) -> Schema,
    query: fn(&mut SchemaGenerator) -> Schema,
    body: fn(&mut SchemaGenerator) -> Schema,
    reply: fn(&mut SchemaGenerator) -> Schema,
}

impl Operation {
    /// Erases the types of a contract.
    pub fn of<C: Contract>() -> Self {
        Self {
            route: &C::ROUTE,
            contract: type_name::<C>(),
            reply_type: type_name::<ReplyIn<C>>(),
            reads: C::Body::FORMAT,
            replies: C::Reply::FORMAT,
            success: C::Reply::STATUS,
            path: SchemaGenerator::root_schema_for_properties::<C::Path>,
            query: SchemaGenerator::root_schema_for_properties::<C::Query>,
            body: SchemaGenerator::subschema_for::<BodyIn<C>>,
            reply: SchemaGenerator::subschema_for::<ReplyIn<C>>,
        }
    }
}

/// Gives the schema of a type itself and not a reference to it, because OpenAPI lists parameters one by one.
trait Properties {
    fn root_schema_for_properties<T: JsonSchema>(&mut self) -> Schema;
}

impl Properties for SchemaGenerator {
    fn root_schema_for_properties<T: JsonSchema>(&mut self) -> Schema {
        T::json_schema(self)
    }
}

/// The OpenAPI document of these operations.
pub fn document(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut received = settings.clone().for_deserialize().into_generator();
    let mut answered = settings.for_serialize().into_generator();
    let problem = answered.subschema_for::<ProblemBody>();
    let mut paths = Map::new();
    for operation in operations {
        let entry = paths.entry(operation.route.path).or_insert_with(|| json!({}));
        let method = operation.route.method.as_str().to_lowercase();
        entry[method] = describe(operation, &mut received, &mut answered);
    }
    let mut schemas = received.take_definitions(true);
    schemas.append(&mut answered.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Huntaze API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "AI content services for creators and the agencies that manage them.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "x-problems": ProblemKind::ALL.map(explain),
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "A problem: what is wrong, where, and what to do about it (RFC 9457).",
                "content": {MEDIA_TYPE: {"schema": problem}},
            }},
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The `accessToken` of a sign-in or a refresh."},
                "key": {"type": "http", "scheme": "bearer", "bearerFormat": "hz_live_... or hz_test_...",
                    "description": "An API key of the tenant."},
                "scraper": {"type": "http", "scheme": "bearer", "description": "The token that the operators of this deployment give to Prometheus."},
            },
        },
    })
}

/// A kind of problem, with what causes it and what to do about it.
fn explain(kind: ProblemKind) -> Value {
    json!({
        "code": kind.code(), "type": kind.uri(), "status": kind.status(), "title": kind.title(),
        "retryable": kind.is_retryable(), "cause": kind.cause(), "remedy": kind.remedy(),
    })
}

/// The OpenAPI object of one operation. Schemas of what clients send go to `received`, of what they get to `answered`.
fn describe(operation: &Operation, received: &mut SchemaGenerator, answered: &mut SchemaGenerator) -> Value {
    let route = operation.route;
    let content = match operation.replies {
        ReplyFormat::Json => Some(("application/json", json!((operation.reply)(answered)))),
        ReplyFormat::Html => Some(("text/html", json!({"type": "string"}))),
        ReplyFormat::Metrics => Some(("text/plain", json!({"type": "string"}))),
        ReplyFormat::Events => Some(("text/event-stream", json!({"type": "string"}))),
        ReplyFormat::None => None,
    };
    let mut success = json!({"description": "The request succeeded."});
    if let Some((media, schema)) = content {
        success["content"] = json!({media: {"schema": schema}});
    }
    let mut parameters = parameters("path", (operation.path)(received));
    parameters.append(&mut self::parameters("query", (operation.query)(received)));
    let mut described = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.path.split('/').nth(2).unwrap_or_default()],
        "responses": {
            operation.success.to_string(): success,
            "default": {"$ref": "#/components/responses/Problem"},
        },
        "security": security(route.access),
        "x-deadline-ms": route.deadline_ms,
    });
    let streams = streams();
    let is_same =
        |stream: &&Operation| (stream.route.path, stream.route.method) == (route.path, route.method);
    if let Some(stream) = streams.iter().find(is_same) {
        // What an event of each name carries.
        let events = json!({"schema": (stream.reply)(answered)});
        described["responses"][stream.success.to_string()]["content"]["text/event-stream"] = events;
    }
    if route.may_queue {
        described["responses"]["202"] = json!({
            "description": "The work was accepted as a job. Ask for the job at the address in `Location`.",
            "content": {"application/json": {"schema": answered.subschema_for::<AcceptedJob>()}},
        });
    }
    parameters.append(&mut header_parameters(route));
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    let content = match operation.reads {
        BodyFormat::None => None,
        BodyFormat::Json => Some(json!({"application/json": {"schema": (operation.body)(received)}})),
        BodyFormat::Lines => Some(json!({
            "application/x-ndjson": {"schema": {"type": "string"}}, "text/csv": {"schema": {"type": "string"}},
        })),
    };
    if let Some(content) = content {
        described["requestBody"] = json!({"required": true, "content": content});
    }
    if let Access::Scoped(scope) | Access::Lasting(scope) = route.access {
        described["x-scope"] = json!(scope);
    }
    described
}

/// The headers that a route obeys, as OpenAPI parameters.
fn header_parameters(route: &Route) -> Vec<Value> {
    let header = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "header", "required": false, "schema": schema, "description": description});
    let mut headers = Vec::new();
    if route.may_queue {
        let description =
            "Send `respond-async` to get a job at once instead of waiting for the answer (RFC 7240).";
        headers.push(header("Prefer", json!({"type": "string"}), description));
    }
    if route.access.has_caller() {
        let description = "Send `test` with a session to work with the tenant's test data, which test keys share, instead of the live data. An API key has the mode that it was created for.";
        headers.push(header(MODE_HEADER, json!({"type": "string", "enum": Mode::ALL}), description));
    }
    if route.is_idempotent() {
        let description = "A text of your choice, such as a UUID. For a day, a request that is sent again with the same key has no second effect and gets the first answer again.";
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255});
        headers.push(header("Idempotency-Key", schema, description));
    }
    headers
}

/// The credentials that OpenAPI lists for a route: any one of them will do.
fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Session => json!([{"session": []}]),
        Access::Caller | Access::Scoped(_) | Access::Lasting(_) => json!([{"session": []}, {"key": []}]),
        Access::Scraper => json!([{"scraper": []}]),
    }
}

/// The properties of a schema as OpenAPI parameters in `place`, which is `path` or `query`.
fn parameters(place: &str, schema: Schema) -> Vec<Value> {
    let schema = schema.to_value();
    let required = |name: &str| {
        place == "path" || schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
    };
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        json!({
            "name": name, "in": place, "required": required(name), "schema": schema,
            "description": schema["description"],
        })
    };
    properties.iter().map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{ROUTES, STREAMS};
    use super::*;

    #[test]
    fn every_operation_has_its_own_name_and_place() {
        let mut names = std::collections::BTreeSet::new();
        let mut places = std::collections::BTreeSet::new();
        for route in ROUTES.iter().chain(STREAMS) {
            assert!(names.insert(route.operation), "{} stands twice", route.operation);
            // A stream has the path of the route that answers the same at once.
            let place = (route.path, route.method.as_str(), route.is_stream());
            assert!(places.insert(place), "{} stands twice", route.path);
        }
    }

    #[test]
    fn every_kind_of_problem_is_explained_once() {
        let codes: std::collections::BTreeSet<_> = ProblemKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ProblemKind::ALL.len());
        for problem in document(&super::super::operations())["x-problems"].as_array().unwrap() {
            for member in ["cause", "remedy"] {
                let text = problem[member].as_str().unwrap();
                assert!(text.split(' ').count() > 5 && text.ends_with('.'), "{problem}");
            }
        }
    }

    #[test]
    fn unknown_members_are_refused_by_the_document_too() {
        let document = document(&super::super::operations());
        for body in ["SignUpRequest", "SignInRequest", "NewKey", "Profile", "IdeaRequest", "IdeaOptions"] {
            let schema = &document["components"]["schemas"][body];
            assert_eq!(schema["additionalProperties"], false, "{body}");
        }
    }
}
