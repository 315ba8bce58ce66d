//! Two runs over time as an SVG: running requests, KV use and token rate, the
//! target above the leader, phases shaded.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::Timeline;
use super::sparkline::Rows;
use crate::chart::SERIES;

const SIZE: (u32, u32) = (1000, 720);
const CELLS: usize = 400;
const RAMP: RGBColor = RGBColor(250, 243, 224);
const DRAIN: RGBColor = RGBColor(250, 232, 232);
const RUNNING: RGBColor = SERIES[0].rgb();
const USAGE: RGBColor = SERIES[3].rgb();
const TOKENS: RGBColor = SERIES[2].rgb();

type Area<'a, 'b> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Plain<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Drawing failed; with a picture in memory this is a defect.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be drawn: {0}")]
pub struct PictureError(String);

/// Draws both runs on one scale of time.
pub fn picture(target: &Timeline, leader: &Timeline, title: &str) -> Result<String, PictureError> {
    let mut svg = String::new();
    draw(&mut svg, target, leader, title).map_err(|error| PictureError(error.to_string()))?;
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, target: &Timeline, leader: &Timeline, title: &str) -> Drawn {
    let until = target.run.duration_s.max(leader.run.duration_s);
    let sides = [("target", target), ("leader", leader)];
    let rows = sides.map(|(_, timeline)| Rows::of(timeline, CELLS, until));
    let top = |values: fn(&Rows) -> &Vec<Option<f64>>| {
        let peak = rows
            .iter()
            .map(|rows| Rows::peak(values(rows)))
            .fold(0.0, f64::max);
        (1.08 * peak).max(1.0)
    };
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    let panels = root.split_evenly((6, 1));
    for (i, ((name, timeline), rows)) in sides.iter().zip(&rows).enumerate() {
        let side = if timeline.run.framework.is_empty() {
            (*name).to_owned()
        } else {
            format!("{name} {}", timeline.run.framework)
        };
        let lines = [
            (
                "running requests",
                &rows.running,
                top(|r| &r.running),
                RUNNING,
            ),
            (
                "KV cache in use, %",
                &percents(&rows.kv_usage),
                108.0,
                USAGE,
            ),
            (
                "output tokens/s",
                &rows.output_tps,
                top(|r| &r.output_tps),
                TOKENS,
            ),
        ];
        for (line, (what, values, top, colour)) in lines.into_iter().enumerate() {
            if let Some(panel) = panels.get(3 * i + line) {
                let caption = format!("{side}: {what}");
                self::panel(panel, timeline, &caption, values, until, top, colour)?;
            }
        }
    }
    root.present()?;
    Ok(())
}

fn percents(values: &[Option<f64>]) -> Vec<Option<f64>> {
    values
        .iter()
        .map(|value| value.map(|v| 100.0 * v))
        .collect()
}

fn panel(
    area: &Plain<'_>,
    timeline: &Timeline,
    caption: &str,
    values: &[Option<f64>],
    until: f64,
    top: f64,
    colour: RGBColor,
) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 13))
        .margin(4)
        .x_label_area_size(18)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..until, 0.0..top)?;
    shade(chart.plotting_area(), timeline, top)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(12)
        .y_labels(4)
        .x_label_formatter(&|x| format!("{x:.0} s"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(("sans-serif", 11))
        .draw()?;
    let width = until / values.len().max(1) as f64;
    let points = values
        .iter()
        .enumerate()
        .filter_map(|(i, value)| Some(((i as f64 + 0.5) * width, (*value)?)));
    chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    Ok(())
}

/// Ramp and drain, and where admission began again.
fn shade(area: &Area<'_, '_>, timeline: &Timeline, top: f64) -> Drawn {
    let shape = &timeline.shape;
    for (phase, colour) in [(shape.ramp, RAMP), (shape.drain, DRAIN)] {
        if phase.to > phase.from {
            area.draw(&Rectangle::new(
                [(phase.from, 0.0), (phase.to, top)],
                colour.filled(),
            ))?;
        }
    }
    for wave in shape.waves.iter().skip(1) {
        area.draw(&PathElement::new(
            vec![(wave.from, 0.0), (wave.from, top)],
            RGBColor(170, 170, 170),
        ))?;
    }
    Ok(())
}
