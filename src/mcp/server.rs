//! The stdio server: both protocol lifecycles through one handler.

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig,
    ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::schema;
use super::tool::{Entry, ToolContext};
use super::tools;
use crate::fault::{Fault, FaultCode};

/// How a model should go about the tools; workflow details live in the skill.
pub(super) const INSTRUCTIONS: &str = include_str!("instructions.md");

/// The MCP server; cheap to clone.
#[derive(Clone)]
pub struct Server {
    entries: Arc<Vec<Entry>>,
    project_dir: Option<PathBuf>,
}

impl Server {
    /// A server for the project folder that the host named, if it named one.
    pub fn new(project_dir: Option<PathBuf>) -> Self {
        Self {
            entries: Arc::new(tools::all()),
            project_dir,
        }
    }
}

/// Serves on stdin and stdout until the host closes them. Detached jobs go on.
pub async fn serve_stdio(project_dir: Option<PathBuf>) -> Result<(), Fault> {
    let broken = |error: String| {
        Fault::new(
            FaultCode::Internal,
            format!("the MCP connection failed: {error}"),
            "start the server from an MCP host, or try a tool with `sota-loop call TOOL JSON`",
        )
    };
    let running = Server::new(project_dir)
        .serve(rmcp::transport::io::stdio_pipes())
        .await
        .map_err(|error| broken(error.to_string()))?;
    running
        .waiting()
        .await
        .map_err(|error| broken(error.to_string()))?;
    Ok(())
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            self.entries.iter().map(listing).collect(),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == request.name) else {
            let fault = tools::unknown(&request.name);
            return Err(ErrorData::invalid_params(
                format!("{} ({})", fault.message, fault.hint),
                None,
            ));
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let outcome = self.run(entry, arguments, &context).await;
        Ok(match outcome {
            Ok(record) => CallToolResult::structured(record),
            Err(fault) => CallToolResult::structured_error(fault_value(&fault)),
        }
        .into())
    }
}

impl Server {
    async fn run(
        &self,
        entry: &Entry,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<Value, Fault> {
        let (cancel, cancelled) = watch::channel(false);
        let (notes, mut inbox) = mpsc::unbounded_channel::<(f64, Option<f64>, String)>();
        let sink = move |done, total, message| {
            // A closed inbox means that the call is over.
            let _ = notes.send((done, total, message));
        };
        let client = context.client_info().map(|client| client.name);
        let tool_context =
            ToolContext::new(self.project_dir.clone(), Some(Arc::new(sink)), cancelled)
                .of_client(client);
        let token = context.meta.get_progress_token();
        let work = entry.call(arguments, tool_context);
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                () = context.ct.cancelled() => {
                    cancel.send_replace(true);
                    return work.await;
                }
                Some((done, total, message)) = inbox.recv() => {
                    let Some(token) = token.clone() else { continue };
                    let mut note = ProgressNotificationParam::new(token, done).with_message(message);
                    if let Some(total) = total {
                        note = note.with_total(total);
                    }
                    if let Err(error) = context.peer.notify_progress(note).await {
                        tracing::debug!(%error, "progress was not delivered");
                    }
                }
            }
        }
    }
}

pub(super) fn listing(entry: &Entry) -> rmcp::model::Tool {
    let mut tool = rmcp::model::Tool::new(
        entry.name,
        entry.description,
        Arc::new(schema::brief(&entry.input_schema)),
    );
    tool.title = Some(entry.title.to_owned());
    tool.output_schema = Some(Arc::clone(&entry.output_schema));
    tool.annotations = Some(
        ToolAnnotations::with_title(entry.title)
            .read_only(entry.hints.read_only)
            .destructive(entry.hints.destructive)
            .idempotent(entry.hints.idempotent)
            .open_world(false),
    );
    tool
}

fn fault_value(fault: &Fault) -> Value {
    serde_json::to_value(fault).unwrap_or_else(|_| Value::String(fault.message.clone()))
}
