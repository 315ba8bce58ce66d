//! Markers: a series has a colour and a shape of its own, so that either will do.

use plotters::element::{Circle, EmptyElement, Polygon, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::style::{Color, ShapeStyle};

use super::frame::{ChartError, Plane};
use super::palette::Tone;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// Shapes, in the order in which they are given out.
pub const SHAPES: [Shape; 4] = [
    Shape::Circle,
    Shape::Square,
    Shape::Triangle,
    Shape::Diamond,
];

impl Shape {
    /// The shape as a character, for legends.
    pub fn glyph(self) -> &'static str {
        match self {
            Self::Circle => "●",
            Self::Square => "■",
            Self::Triangle => "▲",
            Self::Diamond => "◆",
        }
    }
}

/// Draws one marker; a hollow one stands for something that does not count in full.
pub fn mark(
    plane: &mut Plane<'_, '_>,
    at: (f64, f64),
    shape: Shape,
    tone: Tone,
    hollow: bool,
) -> Result<(), ChartError> {
    let colour = tone.rgb();
    let style = if hollow {
        colour.stroke_width(2)
    } else {
        colour.filled()
    };
    match shape {
        Shape::Circle => {
            let element = EmptyElement::<_, SVGBackend<'_>>::at(at) + Circle::new((0, 0), 5, style);
            plane.draw_series(std::iter::once(element))?;
        }
        Shape::Square => {
            let element = EmptyElement::<_, SVGBackend<'_>>::at(at)
                + Rectangle::new([(-5, -5), (5, 5)], style);
            plane.draw_series(std::iter::once(element))?;
        }
        Shape::Triangle => polygon(plane, at, &[(0, -6), (6, 5), (-6, 5)], style, hollow)?,
        Shape::Diamond => polygon(
            plane,
            at,
            &[(0, -6), (6, 0), (0, 6), (-6, 0)],
            style,
            hollow,
        )?,
    }
    Ok(())
}

fn polygon(
    plane: &mut Plane<'_, '_>,
    at: (f64, f64),
    corners: &[(i32, i32)],
    style: ShapeStyle,
    hollow: bool,
) -> Result<(), ChartError> {
    if hollow {
        let mut outline = corners.to_vec();
        outline.extend(corners.first());
        let element = EmptyElement::<_, SVGBackend<'_>>::at(at)
            + plotters::element::PathElement::new(outline, style);
        plane.draw_series(std::iter::once(element))?;
    } else {
        let element =
            EmptyElement::<_, SVGBackend<'_>>::at(at) + Polygon::new(corners.to_vec(), style);
        plane.draw_series(std::iter::once(element))?;
    }
    Ok(())
}
