//! One style for every picture: colours, axes, markers; SVG out.
//!
//! Pictures are drawn with `plotters` in the colours of [`palette`], which are
//! told apart with any colour vision and on paper. [`themed`] turns those
//! colours into CSS variables, so that an SVG inside a page follows its light
//! or dark theme; a file of its own keeps them as they are.

mod axis;
mod frame;
mod marker;
mod numbers;
mod palette;

pub use axis::Axis;
pub use frame::{ChartError, Frame, Plane, Strokes, label};
pub use marker::{SHAPES, Shape, mark};
pub use numbers::{short, signed, signed_pct};
pub use palette::{BAND, BUBBLE, GRID, INK, PAPER, SERIES, SOFT, Tone, css_variables, themed};
