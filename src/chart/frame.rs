//! The plotting plane: size, axes, grid, and what is drawn in it.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{DashedPathElement, EmptyElement, PathElement, Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, TextStyle};

use super::axis::Axis;
use super::palette::{GRID, INK, SOFT, Tone};

/// A picture that could not be drawn.
pub type ChartError = DrawingAreaErrorKind<std::io::Error>;

/// The plane that series are drawn on.
pub type Plane<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const FONT: &str = "sans-serif";

/// `plotters` writes a font size divided by this.
const FONT_SCALE: f64 = 1.24;

/// Text of so many pixels, anchored as told.
pub fn label(size: u32, tone: Tone, x: HPos, y: VPos) -> TextStyle<'static> {
    (FONT, f64::from(size) * FONT_SCALE)
        .into_font()
        .color(&tone.rgb())
        .pos(Pos::new(x, y))
}

/// A picture with two axes.
#[derive(Debug, Clone)]
pub struct Frame {
    pub width: u32,
    pub height: u32,
    pub x: Axis,
    pub y: Axis,
    /// Room for the labels of the y axis, in pixels.
    pub left: u32,
    /// Room above the plane, in pixels.
    pub top: u32,
    /// Whether the y axis has ticks; rows bring labels of their own.
    pub y_ticks: bool,
}

impl Frame {
    pub fn new(width: u32, height: u32, x: Axis, y: Axis) -> Self {
        Self {
            width,
            height,
            x,
            y,
            left: 56,
            top: 12,
            y_ticks: true,
        }
    }

    /// Draws axes, then the content, and gives back the SVG.
    pub fn draw(
        &self,
        content: impl FnOnce(&mut Plane<'_, '_>) -> Result<(), ChartError>,
    ) -> Result<String, ChartError> {
        let mut svg = String::new();
        {
            let area =
                SVGBackend::with_string(&mut svg, (self.width, self.height)).into_drawing_area();
            let mut plane = ChartBuilder::on(&area)
                .margin_top(self.top)
                .margin_right(16)
                .margin_bottom(2)
                .margin_left(2)
                .x_label_area_size(42)
                .y_label_area_size(self.left)
                .build_cartesian_2d(self.x.range(), self.y.range())?;
            self.mesh(&mut plane)?;
            content(&mut plane)?;
            area.present()?;
        }
        Ok(svg)
    }

    fn mesh(&self, plane: &mut Plane<'_, '_>) -> Result<(), ChartError> {
        let none = GRID.rgb().mix(0.0);
        let ticks = (FONT, 12.0 * FONT_SCALE).into_font().color(&SOFT.rgb());
        let titles = (FONT, 13.0 * FONT_SCALE).into_font().color(&INK.rgb());
        let x = |value: &f64| self.x.tick(*value);
        let y = |value: &f64| match self.y_ticks {
            true => self.y.tick(*value),
            false => String::new(),
        };
        let mut mesh = plane.configure_mesh();
        mesh.axis_style(SOFT.rgb())
            .bold_line_style(GRID.rgb())
            .light_line_style(none)
            .label_style(ticks)
            .axis_desc_style(titles)
            .x_desc(self.x.title.as_str())
            .y_desc(self.y.title.as_str())
            .x_labels(self.x.ticks)
            .y_labels(self.y.ticks)
            .x_label_formatter(&x)
            .y_label_formatter(&y);
        if !self.y_ticks {
            mesh.disable_y_mesh().disable_y_axis().y_labels(0);
        }
        mesh.draw()
    }
}

/// Shorthand for what most pictures are made of.
pub trait Strokes {
    fn line(
        &mut self,
        points: impl Into<Vec<(f64, f64)>>,
        tone: Tone,
        width: u32,
    ) -> Result<(), ChartError>;
    /// A line of dashes, so that two lines are told apart without colour.
    fn dashed(
        &mut self,
        points: impl Into<Vec<(f64, f64)>>,
        tone: Tone,
        width: u32,
    ) -> Result<(), ChartError>;
    fn block(&mut self, corners: [(f64, f64); 2], tone: Tone) -> Result<(), ChartError>;
    fn text(
        &mut self,
        at: (f64, f64),
        text: impl Into<String>,
        style: TextStyle<'static>,
    ) -> Result<(), ChartError>;
    /// Text that stands so many pixels right of and below a point.
    fn beside(
        &mut self,
        at: (f64, f64),
        shift: (i32, i32),
        text: impl Into<String>,
        style: TextStyle<'static>,
    ) -> Result<(), ChartError>;
}

/// Pixels of a dash, and between two.
const DASH: i32 = 7;
const SPACE: i32 = 4;

impl Strokes for Plane<'_, '_> {
    fn line(
        &mut self,
        points: impl Into<Vec<(f64, f64)>>,
        tone: Tone,
        width: u32,
    ) -> Result<(), ChartError> {
        let path = PathElement::new(points.into(), tone.rgb().stroke_width(width));
        self.draw_series(std::iter::once(path)).map(drop)
    }

    fn dashed(
        &mut self,
        points: impl Into<Vec<(f64, f64)>>,
        tone: Tone,
        width: u32,
    ) -> Result<(), ChartError> {
        let style = tone.rgb().stroke_width(width);
        let path = DashedPathElement::new(points.into(), DASH, SPACE, style);
        self.draw_series(std::iter::once(path)).map(drop)
    }

    fn block(&mut self, corners: [(f64, f64); 2], tone: Tone) -> Result<(), ChartError> {
        let block = Rectangle::new(corners, tone.rgb().filled());
        self.draw_series(std::iter::once(block)).map(drop)
    }

    fn text(
        &mut self,
        at: (f64, f64),
        text: impl Into<String>,
        style: TextStyle<'static>,
    ) -> Result<(), ChartError> {
        self.beside(at, (0, 0), text, style)
    }

    fn beside(
        &mut self,
        at: (f64, f64),
        shift: (i32, i32),
        text: impl Into<String>,
        style: TextStyle<'static>,
    ) -> Result<(), ChartError> {
        let text = EmptyElement::<_, SVGBackend<'_>>::at(at) + Text::new(text.into(), shift, style);
        self.draw_series(std::iter::once(text)).map(drop)
    }
}
