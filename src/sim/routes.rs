//! Which path answers what.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request as HttpRequest, Response, StatusCode};
use serde_json::json;

use super::api_error::ApiError;
use super::app::{App, Fate};
use super::dialect::Dialect;
use super::profile_routes;
use super::reply::Reply;
use super::request::{Endpoint, parse};
use super::stream::{Answer, TokenStream};

/// Longest request body in bytes.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Version that the server names.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+sim");

type Reaction = Result<Response<Answer>, ApiError>;

/// Answers one HTTP request.
pub async fn answer(
    app: Rc<App>,
    peer: SocketAddr,
    http: HttpRequest<Incoming>,
) -> Result<Response<Answer>, io::Error> {
    let came = Instant::now();
    let method = http.method().clone();
    let path = http.uri().path().to_owned();
    let response = match route(&app, &method, &path, http, came).await {
        Ok(response) => response,
        Err(error) => json_answer(error.status, error.body.to_string()),
    };
    app.log
        .access(peer, method.as_str(), &path, response.status());
    Ok(response)
}

async fn route(
    app: &Rc<App>,
    method: &Method,
    path: &str,
    http: HttpRequest<Incoming>,
    came: Instant,
) -> Reaction {
    let dialect = app.config.dialect;
    let sglang = dialect == Dialect::Sglang;
    let get = method == Method::GET || method == Method::HEAD;
    let post = method == Method::POST;
    match path {
        "/health" if get => health(app),
        "/health_generate" if get && sglang => health(app),
        "/v1/models" if get => Ok(models(app)),
        "/metrics" if get => Ok(metrics(app)),
        "/server_info" | "/get_server_info" if get && sglang => Ok(server_info(app)),
        "/model_info" | "/get_model_info" if get && sglang => Ok(model_info(app)),
        "/version" if get && dialect == Dialect::Vllm => Ok(json_answer(
            StatusCode::OK,
            json!({"version": VERSION}).to_string(),
        )),
        "/v1/completions" if post => generate(app, Endpoint::Completions, http, came).await,
        "/v1/chat/completions" if post => generate(app, Endpoint::Chat, http, came).await,
        "/generate" if post && sglang => generate(app, Endpoint::Generate, http, came).await,
        "/flush_cache" if (post || get) && sglang => Ok(flush(app).await),
        "/reset_prefix_cache" if post && dialect == Dialect::Vllm && vllm_dev_mode() => {
            Ok(flush(app).await)
        }
        "/start_profile" if post && profile_routes::served(app) => {
            let body = whole_body(app, http).await?;
            profile_routes::start(app, &body).map(plain)
        }
        "/stop_profile" if post && profile_routes::served(app) => {
            profile_routes::stop(app).await.map(plain)
        }
        "/v1/completions" | "/v1/chat/completions" | "/v1/models" | "/health" | "/metrics" => {
            Err(ApiError::method_not_allowed())
        }
        _ => Err(ApiError::not_found()),
    }
}

/// vLLM has its reset routes only in this mode.
fn vllm_dev_mode() -> bool {
    std::env::var("VLLM_SERVER_DEV_MODE").is_ok_and(|value| value == "1")
}

async fn generate(
    app: &Rc<App>,
    endpoint: Endpoint,
    http: HttpRequest<Incoming>,
    came: Instant,
) -> Reaction {
    let dialect = app.config.dialect;
    if !app.ready.get() {
        return Err(ApiError::loading());
    }
    let body = whole_body(app, http).await?;
    let request = parse(endpoint, &body, app.bounds())?;
    let cut_after = match app.fate() {
        Fate::Refused => return Err(ApiError::planned(dialect)),
        Fate::Served { cut_after } => cut_after,
    };
    let output = app.output(&request);
    let ticket = app.submit(&request, output, came);
    let name = match endpoint {
        Endpoint::Generate => "default",
        _ => app.config.served_name(),
    };
    let mut reply = Reply::new(dialect, &request, output, ticket.id, name);
    if app.config.stream.incremental_streaming_output {
        reply.incremental();
    }
    if !request.stream {
        let last = ticket.last().await;
        return Ok(with_type(
            "application/json",
            StatusCode::OK,
            reply.whole(&last),
        ));
    }
    let stream = TokenStream {
        ticket,
        reply,
        buffer: BytesMut::new(),
        cut_after,
    };
    let mut response = Response::new(Answer::Stream(Box::new(stream)));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

async fn whole_body(app: &App, http: HttpRequest<Incoming>) -> Result<Bytes, ApiError> {
    let body = Limited::new(http.into_body(), MAX_BODY_BYTES)
        .collect()
        .await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| ApiError::bad_request(app.config.dialect, error.to_string(), None))
}

fn plain(text: &'static str) -> Response<Answer> {
    with_type(
        "text/plain",
        StatusCode::OK,
        Bytes::from_static(text.as_bytes()),
    )
}

fn health(app: &App) -> Reaction {
    match (app.ready.get(), app.config.dialect) {
        (true, Dialect::OpenAi) => Ok(json_answer(
            StatusCode::OK,
            json!({"status": "ok"}).to_string(),
        )),
        (true, _) => Ok(with_type("text/plain", StatusCode::OK, Bytes::new())),
        (false, Dialect::OpenAi) => Err(ApiError::loading()),
        (false, _) => Ok(with_type(
            "text/plain",
            StatusCode::SERVICE_UNAVAILABLE,
            Bytes::new(),
        )),
    }
}

fn models(app: &App) -> Response<Answer> {
    let body = json!({"object": "list", "data": [{
        "id": app.config.served_name(), "object": "model", "created": 1,
        "owned_by": app.config.dialect.owner(), "root": app.config.model, "parent": null,
        "max_model_len": app.model.limits.context_length,
    }]});
    json_answer(StatusCode::OK, body.to_string())
}

fn metrics(app: &App) -> Response<Answer> {
    let mut text = app.stats().text(
        app.config.dialect,
        app.config.served_name(),
        app.model.limits.kv_tokens,
    );
    if app.config.dialect == Dialect::Vllm {
        text.push_str(&cache_config(app));
    }
    with_type(
        "text/plain; version=0.0.4; charset=utf-8",
        StatusCode::OK,
        text.into(),
    )
}

fn server_info(app: &App) -> Response<Answer> {
    let limits = &app.model.limits;
    let body = json!({
        "model_path": app.config.model, "served_model_name": app.config.served_name(),
        "context_length": limits.context_length, "chunked_prefill_size": limits.chunk_tokens,
        "max_running_requests": limits.max_running, "max_total_num_tokens": limits.kv_tokens,
        "mem_fraction_static": app.config.limits.memory_fraction,
        "disable_radix_cache": !app.config.caches_prefixes(),
        "tp_size": app.config.accepted.tp_size.unwrap_or(1), "random_seed": app.config.seed,
        "version": VERSION, "cost_model": &app.model,
    });
    json_answer(StatusCode::OK, body.to_string())
}

/// Settings of the cache as vLLM shows them: labels of a metric that is 1.
fn cache_config(app: &App) -> String {
    let enabled = if app.config.caches_prefixes() {
        "True"
    } else {
        "False"
    };
    let share = app
        .config
        .limits
        .memory_fraction
        .map_or_else(|| "None".to_owned(), |share| share.to_string());
    format!(
        "# TYPE vllm:cache_config_info gauge\n\
         vllm:cache_config_info{{cache_dtype=\"auto\",enable_prefix_caching=\"{enabled}\",\
         engine=\"0\",gpu_memory_utilization=\"{share}\",kv_cache_size_tokens=\"{}\"}} 1.0\n",
        app.model.limits.kv_tokens
    )
}

fn model_info(app: &App) -> Response<Answer> {
    let body = json!({
        "model_path": app.config.model, "tokenizer_path": app.config.model,
        "is_generation": true, "weight_version": "default", "model_type": "simulated",
        "architectures": ["SimulatedForCausalLM"],
    });
    json_answer(StatusCode::OK, body.to_string())
}

async fn flush(app: &App) -> Response<Answer> {
    if app.flush_cache().await {
        with_type(
            "text/plain",
            StatusCode::OK,
            Bytes::from_static(b"Cache flushed.\n"),
        )
    } else {
        let text = b"Flush cache failed: requests are running.\n";
        with_type(
            "text/plain",
            StatusCode::BAD_REQUEST,
            Bytes::from_static(text),
        )
    }
}

fn json_answer(status: StatusCode, body: String) -> Response<Answer> {
    with_type("application/json", status, body.into())
}

fn with_type(kind: &'static str, status: StatusCode, body: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
