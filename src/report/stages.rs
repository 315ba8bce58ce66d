//! Time of a step by class of work, target and leader side by side.

use plotters::style::text_anchor::{HPos, VPos};
use serde_json::{Value, json};

use super::figure::{Figure, Key, Panel};
use super::files::word;
use super::gap::dash;
use super::html::Table;
use super::material::Material;
use crate::chart::{
    Axis, BUBBLE, ChartError, Frame, INK, PAPER, SERIES, Strokes, Tone, label, short, signed,
    signed_pct,
};
use crate::triage::{OpClass, StageComparison, StageRecord, TriageRecord};

/// Classes with a colour of their own; the others share one.
const OWN_COLOUR: usize = SERIES.len() - 1;

/// One bar: a side's step.
struct Bar {
    name: String,
    /// Class and microseconds, in the order of the legend.
    parts: Vec<(String, f64)>,
}

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "stages",
        "Time of a step by class of work",
        "Mean time of one step on the GPU's clock, from profiler traces, target above leader. Grey is time in which nothing ran.",
    );
    let compared = material
        .profiles
        .iter()
        .find(|profile| !profile.comparison.is_empty());
    let palette = match (compared, material.profiles.first()) {
        (Some(profile), _) => from_comparison(&mut figure, &profile.comparison)?,
        (None, Some(profile)) => from_one(&mut figure, profile)?,
        (None, None) => Palette::default(),
    };
    if figure.panels.is_empty() {
        return Ok(figure.missing(
            "No profiler trace was analysed: run profile with input of the target and compare_input of the leader.",
        ));
    }
    figure.keys = palette.keys();
    Ok(figure)
}

/// Classes in the order in which they got their colours.
#[derive(Debug, Default)]
struct Palette {
    classes: Vec<String>,
    has_idle: bool,
}

const IDLE: &str = "idle";
const REST: &str = "other classes";

impl Palette {
    /// The heaviest classes over all bars.
    fn of<'a>(parts: impl Iterator<Item = &'a (String, f64)>) -> Self {
        let mut totals: Vec<(String, f64)> = Vec::new();
        let mut has_idle = false;
        for (class, us) in parts {
            has_idle |= class == IDLE;
            match totals.iter_mut().find(|(known, _)| known == class) {
                Some((_, total)) => *total += us,
                None => totals.push((class.clone(), *us)),
            }
        }
        totals.retain(|(class, _)| class != IDLE && class != "other");
        totals.sort_by(|a, b| b.1.total_cmp(&a.1));
        totals.truncate(OWN_COLOUR);
        Self {
            classes: totals.into_iter().map(|(class, _)| class).collect(),
            has_idle,
        }
    }

    fn tone(&self, class: &str) -> Tone {
        match self.classes.iter().position(|known| known == class) {
            Some(index) => SERIES[index.min(OWN_COLOUR)],
            None if class == IDLE => BUBBLE,
            None => SERIES[OWN_COLOUR],
        }
    }

    /// The parts with the rest summed up, in the order of the legend.
    fn arranged(&self, parts: &[(String, f64)]) -> Vec<(String, f64)> {
        let time = |class: &str| -> f64 {
            parts
                .iter()
                .filter(|(known, _)| known == class)
                .map(|(_, us)| us.max(0.0))
                .sum()
        };
        let mut arranged: Vec<(String, f64)> = self
            .classes
            .iter()
            .map(|class| (class.clone(), time(class)))
            .collect();
        let rest = parts
            .iter()
            .filter(|(class, _)| class != IDLE && !self.classes.contains(class))
            .map(|(_, us)| us.max(0.0))
            .sum();
        arranged.push((REST.to_owned(), rest));
        arranged.push((IDLE.to_owned(), time(IDLE)));
        arranged
    }

    fn keys(&self) -> Vec<Key> {
        let key = |tone, name: &str| Key {
            glyph: "■",
            tone,
            name: name.to_owned(),
        };
        let mut keys: Vec<Key> = self
            .classes
            .iter()
            .map(|class| key(self.tone(class), class))
            .collect();
        keys.push(key(SERIES[OWN_COLOUR], REST));
        if self.has_idle {
            keys.push(key(BUBBLE, IDLE));
        }
        keys
    }
}

fn from_comparison(figure: &mut Figure, stages: &[StageComparison]) -> Result<Palette, ChartError> {
    let side = |stage: &StageComparison, is_input: bool| -> Vec<(String, f64)> {
        stage
            .classes
            .iter()
            .map(|class| {
                let us = if is_input {
                    class.input_us
                } else {
                    class.compare_us
                };
                (word(&class.class), us)
            })
            .collect()
    };
    let all: Vec<(String, f64)> = stages
        .iter()
        .flat_map(|stage| [side(stage, true), side(stage, false)])
        .flatten()
        .collect();
    let palette = Palette::of(all.iter());
    let mut table = Table::new(&[
        "stage",
        "class",
        "#target, µs",
        "#leader, µs",
        "#difference, µs",
        "#of the gap, %",
        "heaviest in target",
    ]);
    for stage in stages {
        let framework =
            |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".to_owned());
        let names = [
            framework(&stage.input.framework),
            framework(&stage.compare.framework),
        ];
        let bars: Vec<Bar> = [true, false]
            .into_iter()
            .zip(&names)
            .map(|(is_input, name)| Bar {
                name: name.clone(),
                parts: palette.arranged(&side(stage, is_input)),
            })
            .collect();
        for class in &stage.classes {
            table.row([
                word(&stage.stage),
                word(&class.class),
                short(class.input_us),
                short(class.compare_us),
                signed(class.difference_us),
                if class.class == OpClass::Idle && stage.gap_us == 0.0 {
                    dash()
                } else {
                    format!("{:+.0}", class.gap_share_pct)
                },
                class.input_kernels.first().cloned().unwrap_or_default(),
            ]);
        }
        let title = format!(
            "{} ({}): {} {}",
            word(&stage.stage),
            stage.matched_on,
            names.join(" against "),
            signed_pct(stage.gap_pct)
        );
        push(figure, &palette, title, &bars)?;
    }
    figure.table = table;
    figure.data = json!(stages);
    Ok(palette)
}

/// Without a second engine: the one profile by kernel category.
fn from_one(figure: &mut Figure, profile: &TriageRecord) -> Result<Palette, ChartError> {
    let parts = |stage: &StageRecord| -> Vec<(String, f64)> {
        let steps = f64::from(stage.steps.max(1));
        let mut parts: Vec<(String, f64)> = Vec::new();
        for kernel in &stage.kernels {
            let name = kernel.category.as_str().replace('_', " ");
            let us = kernel.gpu_time_us / steps;
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += us,
                None => parts.push((name, us)),
            }
        }
        parts.push((IDLE.to_owned(), stage.idle_us / steps));
        parts
    };
    let all: Vec<(String, f64)> = profile.stages.iter().flat_map(parts).collect();
    let palette = Palette::of(all.iter());
    let name = profile
        .framework
        .clone()
        .unwrap_or_else(|| "unknown".to_owned());
    let mut table = Table::new(&["stage", "category", "#µs a step"]);
    for stage in &profile.stages {
        for (class, us) in parts(stage) {
            table.row([word(&stage.stage), class, short(us)]);
        }
        let bar = Bar {
            name: name.clone(),
            parts: palette.arranged(&parts(stage)),
        };
        let title = format!("{}: {} steps", word(&stage.stage), stage.steps);
        push(figure, &palette, title, &[bar])?;
    }
    figure.notes.push(format!(
        "Only {name} was profiled; profile the leader too, with compare_input, to see both."
    ));
    figure.table = table;
    let data: Vec<Value> = profile
        .stages
        .iter()
        .map(|stage| json!({"stage": stage.stage, "us_a_step": parts(stage)}))
        .collect();
    figure.data = json!(data);
    Ok(palette)
}

fn push(
    figure: &mut Figure,
    palette: &Palette,
    title: String,
    bars: &[Bar],
) -> Result<(), ChartError> {
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, us)| us).sum::<f64>();
    let alt = bars
        .iter()
        .map(|bar| {
            let mut parts: Vec<&(String, f64)> = bar.parts.iter().collect();
            parts.sort_by(|a, b| b.1.total_cmp(&a.1));
            let heaviest: Vec<String> = parts
                .iter()
                .take(3)
                .map(|(class, us)| format!("{class} {} µs", short(*us)))
                .collect();
            format!(
                "{}: {} µs a step, most of it {}",
                bar.name,
                short(sum(bar)),
                heaviest.join(", ")
            )
        })
        .collect::<Vec<_>>()
        .join("; ");
    let panel = Panel::both(title, alt, |width| draw(width, palette, bars))?;
    figure.panels.push(panel);
    Ok(())
}

fn draw(width: u32, palette: &Palette, bars: &[Bar]) -> Result<String, ChartError> {
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, us)| us / 1e3).sum::<f64>();
    let x = Axis::from_zero("time of a step, ms", bars.iter().map(sum)).ticks(if width < 600 {
        5
    } else {
        9
    });
    let most = x.range().end;
    let mut frame = Frame::new(
        width,
        62 * bars.len() as u32 + 56,
        x,
        Axis::spanning("", 0.0..bars.len() as f64),
    );
    frame.left = 8;
    frame.y_ticks = false;
    let pixels = f64::from(width.saturating_sub(28));
    frame.draw(|plane| {
        for (index, bar) in bars.iter().enumerate() {
            let top = (bars.len() - index) as f64;
            let text = format!("{}  {} ms", bar.name, short(sum(bar)));
            plane.text(
                (0.0, top - 0.2),
                text,
                label(13, INK, HPos::Left, VPos::Center),
            )?;
            let mut from = 0.0;
            for (class, us) in &bar.parts {
                let to = from + us / 1e3;
                plane.block([(from, top - 0.4), (to, top - 0.92)], palette.tone(class))?;
                // A line of the page's colour keeps neighbours apart without colour.
                plane.line([(to, top - 0.4), (to, top - 0.92)], PAPER, 1)?;
                if (to - from) / most * pixels > 7.5 * class.len() as f64 + 8.0 {
                    let at = ((from + to) / 2.0, top - 0.66);
                    plane.text(
                        at,
                        class.clone(),
                        label(12, PAPER, HPos::Center, VPos::Center),
                    )?;
                }
                from = to;
            }
        }
        Ok(())
    })
}
