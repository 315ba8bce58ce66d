//! The page around the figures: one file, no network, no script that runs.

use std::fmt::Write;

use super::figure::Figure;
use super::files::word;
use super::gap::{cell_name, look};
use super::html::escape;
use super::material::Material;
use crate::chart::{css_variables, signed_pct};

const STYLE: &str = include_str!("style.css");

/// The whole document.
pub fn page(material: &Material, figures: &[Figure], made: &str) -> String {
    let title = escape(&material.name);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
         <title>{title}</title><link rel=\"icon\" href=\"data:,\">\
         <style>{}{STYLE}</style></head><body><main>",
        css_variables()
    );
    let _ = write!(text, "<header><h1>{title}</h1>");
    if let Some(outcome) = &material.outcome {
        let _ = write!(text, "<p class=\"outcome\">{}</p>", escape(outcome));
    }
    decision(&mut text, material);
    text.push_str("</header>");
    cards(&mut text, material);
    for warning in &material.warnings {
        let _ = write!(text, "<p class=\"note\">{}</p>", escape(warning));
    }
    facts(&mut text, material);
    contents(&mut text, figures);
    for figure in figures {
        text.push_str(&figure.html());
    }
    let _ = writeln!(
        text,
        "</main><footer>Made {} by sota-loop {} from recorded data. The JSON of each figure is in the page, in <code>script</code> elements named <code>data-…</code>.</footer></body></html>",
        escape(made),
        env!("CARGO_PKG_VERSION")
    );
    text
}

fn decision(text: &mut String, material: &Material) {
    let Some(gap) = material.gap() else { return };
    let _ = write!(
        text,
        "<p><strong>Decision: {}.</strong> {}.",
        escape(&word(&gap.decision)),
        escape(&gap.decision_reason)
    );
    if let Some(geomean) = gap.geomean_gap_pct {
        let _ = write!(
            text,
            " Geomean over the scenarios: {}.",
            signed_pct(geomean)
        );
    }
    text.push_str("</p>");
}

fn cards(text: &mut String, material: &Material) {
    let Some(gap) = material.gap() else { return };
    text.push_str("<ul class=\"cards\">");
    for scenario in &gap.scenarios {
        let (tone, shape) = look(scenario.verdict);
        let value = scenario.gap_pct.map_or_else(|| "–".to_owned(), signed_pct);
        let interval = match scenario.ci_pct {
            Some([low, high]) => format!(
                "95%: {} to {}, {} pairs",
                signed_pct(low),
                signed_pct(high),
                scenario.n
            ),
            None => format!("{} pairs, no interval", scenario.n),
        };
        let leader = scenario
            .leader
            .as_ref()
            .map_or("nobody", |leader| &leader.framework);
        let _ = write!(
            text,
            "<li style=\"border-color:{}\"><span class=\"name\">{}</span><span class=\"value\">{value}</span><span><span aria-hidden=\"true\" style=\"color:{}\">{}</span> {} against {}</span><span class=\"soft\">{}</span></li>",
            tone.css(),
            escape(&cell_name(scenario)),
            tone.css(),
            shape.glyph(),
            escape(scenario.standing()),
            escape(leader),
            escape(&interval)
        );
    }
    text.push_str("</ul>");
}

fn facts(text: &mut String, material: &Material) {
    text.push_str("<dl class=\"facts\">");
    for (name, value) in &material.facts {
        let _ = write!(
            text,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            escape(name),
            escape(value)
        );
    }
    text.push_str("</dl>");
}

fn contents(text: &mut String, figures: &[Figure]) {
    text.push_str("<nav aria-label=\"Figures\"><ul>");
    for figure in figures {
        let missing = if figure.missing.is_some() {
            " (no data)"
        } else {
            ""
        };
        let _ = write!(
            text,
            "<li><a href=\"#{}\">{}</a>{missing}</li>",
            figure.id,
            escape(figure.title)
        );
    }
    text.push_str("</ul></nav>");
}
