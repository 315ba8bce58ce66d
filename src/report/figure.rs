//! One figure: its pictures, and the same data as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::html::{Table, escape, script_json};
use crate::chart::{ChartError, Tone, themed};

/// Width of a picture on a screen and on a phone, in pixels.
pub const WIDE: u32 = 1040;
pub const NARROW: u32 = 380;
/// Width of one of several pictures side by side.
pub const PANEL: u32 = 480;

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    pub title: String,
    /// What a reader who cannot see it needs to know.
    pub alt: String,
    wide: String,
    narrow: Option<String>,
}

impl Panel {
    /// A picture that is small enough for every screen.
    pub fn small(title: impl Into<String>, alt: impl Into<String>, svg: String) -> Self {
        Self {
            title: title.into(),
            alt: alt.into(),
            wide: svg,
            narrow: None,
        }
    }

    /// A picture drawn twice: for a screen and for a phone.
    pub fn both(
        title: impl Into<String>,
        alt: impl Into<String>,
        draw: impl Fn(u32) -> Result<String, ChartError>,
    ) -> Result<Self, ChartError> {
        Ok(Self {
            title: title.into(),
            alt: alt.into(),
            wide: draw(WIDE)?,
            narrow: Some(draw(NARROW)?),
        })
    }

    fn html(&self) -> String {
        let mut text = String::from("<div class=\"panel\">");
        if !self.title.is_empty() {
            let _ = write!(text, "<h3>{}</h3>", escape(&self.title));
        }
        match &self.narrow {
            None => text.push_str(&self.picture(&self.wide, "")),
            Some(narrow) => {
                text.push_str(&self.picture(&self.wide, " class=\"wide\""));
                text.push_str(&self.picture(narrow, " class=\"narrow\""));
            }
        }
        text.push_str("</div>");
        text
    }

    fn picture(&self, svg: &str, class: &str) -> String {
        let head = format!(
            "<svg{class} role=\"img\" aria-label=\"{}\" ",
            escape(&self.alt)
        );
        themed(svg).replacen("<svg ", &head, 1)
    }
}

/// One entry of a legend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub glyph: &'static str,
    pub tone: Tone,
    pub name: String,
}

/// A figure of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name of its anchor and of its JSON.
    pub id: &'static str,
    pub title: &'static str,
    /// How to read it.
    pub about: String,
    pub panels: Vec<Panel>,
    pub keys: Vec<Key>,
    /// What a reader must know before trusting it.
    pub notes: Vec<String>,
    pub table: Table,
    pub data: Value,
    /// Why there is nothing to show.
    pub missing: Option<String>,
}

impl Figure {
    /// A figure without its content.
    pub fn new(id: &'static str, title: &'static str, about: impl Into<String>) -> Self {
        Self {
            id,
            title,
            about: about.into(),
            panels: Vec::new(),
            keys: Vec::new(),
            notes: Vec::new(),
            table: Table::default(),
            data: Value::Null,
            missing: None,
        }
    }

    /// Says what is missing and how to get it.
    #[must_use]
    pub fn missing(mut self, why: impl Into<String>) -> Self {
        let why = why.into();
        self.data = json!({"missing": why});
        self.missing = Some(why);
        self
    }

    pub fn html(&self) -> String {
        let mut text = format!(
            "<section id=\"{0}\" aria-labelledby=\"{0}-title\"><h2 id=\"{0}-title\">{1}</h2>",
            self.id,
            escape(self.title)
        );
        if let Some(why) = &self.missing {
            let _ = write!(
                text,
                "<p class=\"missing\"><strong>No data.</strong> {}</p>",
                escape(why)
            );
        } else {
            self.content(&mut text);
        }
        let _ = write!(
            text,
            "<script type=\"application/json\" id=\"data-{}\">{}</script></section>",
            self.id,
            script_json(&self.data)
        );
        text
    }

    fn content(&self, text: &mut String) {
        let _ = write!(text, "<p>{}</p>", escape(&self.about));
        if !self.keys.is_empty() {
            text.push_str("<ul class=\"legend\">");
            for key in &self.keys {
                let _ = write!(
                    text,
                    "<li><span aria-hidden=\"true\" style=\"color:{}\">{}</span> {}</li>",
                    key.tone.css(),
                    key.glyph,
                    escape(&key.name)
                );
            }
            text.push_str("</ul>");
        }
        if !self.panels.is_empty() {
            let columns = match self.panels.iter().any(|panel| panel.narrow.is_some()) {
                true => "panels one",
                false => "panels",
            };
            let _ = write!(text, "<div class=\"{columns}\">");
            for panel in &self.panels {
                text.push_str(&panel.html());
            }
            text.push_str("</div>");
        }
        for note in &self.notes {
            let _ = write!(text, "<p class=\"note\">{}</p>", escape(note));
        }
        if !self.table.rows.is_empty() {
            let caption = format!("Data: {}", self.title);
            let _ = write!(
                text,
                "<details{}><summary>Data as a table</summary>{}</details>",
                if self.panels.is_empty() { " open" } else { "" },
                self.table.html(&caption)
            );
        }
    }
}
