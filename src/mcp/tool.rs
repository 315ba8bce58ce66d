//! What a tool is: a name, texts, schemas, and a function from arguments to a record.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{arguments, schema};
use crate::catalogues;
use crate::fault::{Fault, FaultCode};

/// What a client may assume about a call. Read-only means that no call of the
/// tool ever records anything.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
}

/// One tool; see the module's text for how to add one.
pub trait Tool {
    /// Name as listed, `verb_noun`.
    const NAME: &'static str;
    /// Short human title.
    const TITLE: &'static str;
    /// What, when, when not, what it returns, one example.
    const DESCRIPTION: &'static str;
    /// A complete argument object, shown in errors.
    const EXAMPLE: &'static str;
    const HINTS: Hints;
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;
    type Record: Serialize + JsonSchema + 'static;

    /// Runs one call. Work that is blocking goes through
    /// [`ToolContext::blocking`].
    fn call(
        arguments: Self::Arguments,
        context: ToolContext,
    ) -> impl Future<Output = Result<Self::Record, Fault>> + Send + 'static;
}

type ProgressSink = dyn Fn(f64, Option<f64>, String) + Send + Sync;

/// Everything that a call may know about its caller.
#[derive(Clone)]
pub struct ToolContext {
    /// The project folder that the host named, if any.
    pub project_dir: Option<PathBuf>,
    /// The name that the client gave itself, such as `claude-code`.
    pub client: Option<String>,
    progress: Option<Arc<ProgressSink>>,
    cancelled: watch::Receiver<bool>,
}

impl ToolContext {
    pub fn new(
        project_dir: Option<PathBuf>,
        progress: Option<Arc<ProgressSink>>,
        cancelled: watch::Receiver<bool>,
    ) -> Self {
        Self {
            project_dir,
            client: None,
            progress,
            cancelled,
        }
    }

    /// For a client that gave its name.
    #[must_use]
    pub fn of_client(mut self, client: Option<String>) -> Self {
        self.client = client;
        self
    }

    /// A caller that neither watches progress nor cancels.
    pub fn detached(project_dir: Option<PathBuf>) -> Self {
        let (_, cancelled) = watch::channel(false);
        Self::new(project_dir, None, cancelled)
    }

    /// Tells the caller how far the work is; `done` must grow from call to call.
    pub fn progress(&self, done: f64, total: Option<f64>, message: impl Into<String>) {
        if let Some(sink) = &self.progress {
            sink(done, total, message.into());
        }
    }

    /// Resolves when the caller gives up on this call; never, if it cannot.
    pub async fn cancelled(&self) {
        let mut receiver = self.cancelled.clone();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Runs blocking domain work off the async threads.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Fault> + Send + 'static,
    {
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| {
                Err(Fault::new(
                    FaultCode::Internal,
                    format!("the work stopped unexpectedly: {error}"),
                    "this is a defect of sota-loop; please report it with the arguments of the call",
                ))
            })
    }
}

type CallFuture = Pin<Box<dyn Future<Output = Result<Value, Fault>> + Send>>;

/// A [`Tool`] with its types erased, as the server and `sota-loop call` hold it.
pub struct Entry {
    pub name: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub hints: Hints,
    pub input_schema: Arc<Map<String, Value>>,
    /// The outline of the record that clients are given.
    pub output_schema: Arc<Map<String, Value>>,
    /// The record's whole schema.
    pub record_schema: fn() -> Map<String, Value>,
    call: fn(Value, ToolContext) -> CallFuture,
}

impl Entry {
    pub fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            hints: T::HINTS,
            input_schema: Arc::new(schema::arguments::<T::Arguments>()),
            output_schema: Arc::new(schema::outline(&schema::portable::<T::Record>())),
            record_schema: schema::portable::<T::Record>,
            call: call_erased::<T>,
        }
    }

    /// Runs one call on untyped arguments.
    pub async fn call(&self, arguments: Value, context: ToolContext) -> Result<Value, Fault> {
        catalogues::check()?;
        (self.call)(arguments, context).await
    }
}

fn call_erased<T: Tool>(arguments: Value, context: ToolContext) -> CallFuture {
    let typed = arguments::decode::<T::Arguments>(T::NAME, arguments, T::EXAMPLE);
    Box::pin(async move {
        let record = T::call(typed?, context).await?;
        serde_json::to_value(record).map_err(|error| {
            Fault::new(
                FaultCode::Internal,
                format!(
                    "the result of {} cannot be written as JSON: {error}",
                    T::NAME
                ),
                "this is a defect of sota-loop; please report it",
            )
        })
    })
}
