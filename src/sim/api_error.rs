//! Error answers as the real engines give them.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::dialect::Dialect;

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub status: StatusCode,
    pub body: Value,
}

impl ApiError {
    /// A request that is wrong; `param` names the key where one is to blame.
    pub fn bad_request(dialect: Dialect, message: impl Into<String>, param: Option<&str>) -> Self {
        Self::new(
            dialect,
            StatusCode::BAD_REQUEST,
            "BadRequestError",
            message.into(),
            param,
        )
    }

    /// A model that is not served. SGLang answers any name, so it has no such error.
    pub fn unknown_model(dialect: Dialect, model: &str) -> Self {
        Self::new(
            dialect,
            StatusCode::NOT_FOUND,
            "NotFoundError",
            format!("The model `{model}` does not exist."),
            Some("model"),
        )
    }

    /// A path that is not served.
    pub fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            body: json!({"detail": "Not Found"}),
        }
    }

    /// A path that is served with another method.
    pub fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            body: json!({"detail": "Method Not Allowed"}),
        }
    }

    /// A planned failure.
    pub fn planned(dialect: Dialect) -> Self {
        Self::internal(dialect, "planned failure of the simulated engine")
    }

    /// An exception in the engine.
    pub fn internal(dialect: Dialect, message: &str) -> Self {
        Self::new(
            dialect,
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            message.to_owned(),
            None,
        )
    }

    /// An engine that is still loading.
    pub fn loading() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            body: json!({"error": {
                "message": "Loading model", "type": "unavailable_error", "code": 503,
            }}),
        }
    }

    fn new(
        dialect: Dialect,
        status: StatusCode,
        kind: &str,
        message: String,
        param: Option<&str>,
    ) -> Self {
        let code = status.as_u16();
        let body = match dialect {
            Dialect::Sglang => json!({
                "object": "error", "message": message, "type": kind, "param": param, "code": code,
            }),
            Dialect::Vllm | Dialect::OpenAi => json!({"error": {
                "message": message, "type": kind, "param": param, "code": code,
            }}),
        };
        Self { status, body }
    }
}
