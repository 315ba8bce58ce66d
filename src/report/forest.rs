//! Values with their intervals, one line each.

use plotters::style::text_anchor::{HPos, VPos};

use crate::chart::{
    Axis, BAND, ChartError, Frame, INK, Plane, SOFT, Shape, Strokes, Tone, label, mark,
};

/// One line: a value, its interval where there is one, and how it is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    /// The value in words.
    pub verdict: String,
    pub value: f64,
    pub interval: Option<[f64; 2]>,
    pub tone: Tone,
    pub shape: Shape,
}

/// Height of a line in pixels.
const LINE: u32 = 46;

/// Draws the lines from top to bottom over one axis; `band` is marked.
pub fn forest(
    width: u32,
    title: &str,
    lines: &[Line],
    band: [f64; 2],
) -> Result<String, ChartError> {
    let values = lines.iter().flat_map(|line| {
        let [low, high] = line.interval.unwrap_or([line.value; 2]);
        [line.value, low, high]
    });
    let x =
        Axis::around(title, values.chain(band).chain([0.0])).ticks(if width < 600 { 5 } else { 9 });
    let y = Axis::spanning("", 0.0..lines.len() as f64);
    let mut frame = Frame::new(width, LINE * lines.len() as u32 + 60, x.clone(), y);
    frame.left = 8;
    frame.y_ticks = false;
    let range = x.range();
    frame.draw(|plane| {
        let top = lines.len() as f64;
        plane.block([(band[0], 0.0), (band[1], top)], BAND)?;
        plane.line([(0.0, 0.0), (0.0, top)], SOFT, 1)?;
        for (index, line) in lines.iter().enumerate() {
            let y = top - index as f64 - 0.72;
            draw(plane, line, y)?;
            let text = format!("{}: {}", line.name, line.verdict);
            let style = label(13, INK, HPos::Left, VPos::Center);
            plane.beside((range.start, y), (6, -19), text, style)?;
        }
        Ok(())
    })
}

fn draw(plane: &mut Plane<'_, '_>, line: &Line, y: f64) -> Result<(), ChartError> {
    if let Some([low, high]) = line.interval {
        plane.line([(low, y), (high, y)], line.tone, 2)?;
        for end in [low, high] {
            plane.line([(end, y - 0.1), (end, y + 0.1)], line.tone, 2)?;
        }
    }
    mark(plane, (line.value, y), line.shape, line.tone, false)
}
