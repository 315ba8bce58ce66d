//! Colours: those of Okabe and Ito (2008), darkened to a contrast of 3:1 on
//! white, with partners of the same hue for a dark page.

use std::fmt::Write;

use plotters::style::RGBColor;

/// A colour on a light page and its partner on a dark one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// Name of the CSS variable, without its dashes.
    pub name: &'static str,
    pub light: (u8, u8, u8),
    pub dark: (u8, u8, u8),
}

impl Tone {
    const fn new(name: &'static str, light: (u8, u8, u8), dark: (u8, u8, u8)) -> Self {
        Self { name, light, dark }
    }

    /// The colour that pictures are drawn in.
    pub const fn rgb(&self) -> RGBColor {
        RGBColor(self.light.0, self.light.1, self.light.2)
    }

    /// The colour for a style sheet that has [`css_variables`].
    pub fn css(&self) -> String {
        format!("var(--{})", self.name)
    }
}

/// Text and lines that matter.
pub const INK: Tone = Tone::new("ink", (0x1f, 0x23, 0x28), (0xe6, 0xed, 0xf3));
/// Ticks and notes.
pub const SOFT: Tone = Tone::new("soft", (0x57, 0x60, 0x6a), (0x9d, 0xa7, 0xb3));
/// Grid lines.
pub const GRID: Tone = Tone::new("grid", (0xd8, 0xde, 0xe4), (0x30, 0x36, 0x3d));
/// A range that is marked, such as the 1% band.
pub const BAND: Tone = Tone::new("band", (0xe4, 0xea, 0xf0), (0x26, 0x2c, 0x36));
/// Idle time.
pub const BUBBLE: Tone = Tone::new("bubble", (0x8c, 0x95, 0x9f), (0x6e, 0x76, 0x81));
/// The page.
pub const PAPER: Tone = Tone::new("paper", (0xfe, 0xfe, 0xfe), (0x0d, 0x11, 0x17));

/// Series, in the order in which they are given out.
pub const SERIES: [Tone; 8] = [
    Tone::new("s1", (0x00, 0x72, 0xb2), (0x58, 0xb0, 0xf0)),
    Tone::new("s2", (0xd0, 0x58, 0x00), (0xff, 0x9a, 0x4d)),
    Tone::new("s3", (0x00, 0x85, 0x6a), (0x2f, 0xc4, 0x9e)),
    Tone::new("s4", (0xb0, 0x52, 0x8a), (0xe6, 0x9c, 0xc6)),
    Tone::new("s5", (0x8a, 0x6d, 0x00), (0xe3, 0xc4, 0x3d)),
    Tone::new("s6", (0x43, 0x8f, 0xc4), (0x93, 0xcd, 0xf5)),
    Tone::new("s7", (0x6b, 0x4b, 0xa3), (0xb3, 0x9d, 0xe8)),
    Tone::new("s8", (0x4d, 0x4d, 0x4d), (0xc4, 0xc4, 0xc4)),
];

fn all() -> impl Iterator<Item = Tone> {
    [INK, SOFT, GRID, BAND, BUBBLE, PAPER]
        .into_iter()
        .chain(SERIES)
}

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

/// Style rules that give every variable its value for light and dark.
pub fn css_variables() -> String {
    let mut text = String::from(":root{color-scheme:light dark;");
    for tone in all() {
        let _ = write!(
            text,
            "--{}:light-dark({},{});",
            tone.name,
            hex(tone.light),
            hex(tone.dark)
        );
    }
    text.push('}');
    text
}

/// An SVG whose colours are the variables of [`css_variables`].
pub fn themed(svg: &str) -> String {
    all().fold(svg.to_owned(), |svg, tone| {
        svg.replace(
            &format!("\"{}\"", hex(tone.light)),
            &format!("\"{}\"", tone.css()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast ratio of two colours as WCAG 2.2 defines it.
    fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
        let part = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let luminance =
            |(r, g, b): (u8, u8, u8)| 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_series_stand_out_from_the_page() {
        for tone in [INK, SOFT] {
            assert!(contrast(tone.light, PAPER.light) >= 4.5, "{}", tone.name);
            assert!(contrast(tone.dark, PAPER.dark) >= 4.5, "{}", tone.name);
        }
        for tone in SERIES {
            assert!(contrast(tone.light, PAPER.light) >= 3.0, "{}", tone.name);
            assert!(contrast(tone.dark, PAPER.dark) >= 3.0, "{}", tone.name);
        }
    }

    #[test]
    fn every_tone_becomes_its_variable() {
        let svg = r##"<path stroke="#0072B2"/><text fill="#1F2328"/><g fill="#123456"/>"##;
        assert_eq!(
            themed(svg),
            r##"<path stroke="var(--s1)"/><text fill="var(--ink)"/><g fill="#123456"/>"##
        );
    }
}
