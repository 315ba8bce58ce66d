//! Protobuf's wire format over one bounded record: fields in order, no
//! recursion, no allocation, every error with its offset in the file.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

use super::error::Flaw;

/// The fields of one message.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

/// One field: its number, its payload, and where its tag stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub number: u32,
    pub offset: u64,
    payload: Payload<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes { bytes: &'a [u8], offset: u64 },
}

impl<'a> Fields<'a> {
    /// `base` is the offset of `bytes` in the file.
    pub fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, at: 0, base }
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The next field, or `None` at the end of the message.
    pub fn next(&mut self) -> Result<Option<Field<'a>>, Flaw> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let offset = self.offset();
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or_else(|| {
                Flaw::malformed(offset, format!("field number {} is out of range", tag >> 3))
            })?;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => self.delimited()?,
            5 => Payload::Fixed32(u32::from_le_bytes(self.fixed()?)),
            other => {
                return Err(Flaw::malformed(
                    offset,
                    format!("field {number} has the unsupported wire type {other}"),
                ));
            }
        };
        Ok(Some(Field {
            number,
            offset,
            payload,
        }))
    }

    fn varint(&mut self) -> Result<u64, Flaw> {
        let start = self.offset();
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(Flaw::truncated(start, "a number", 1, 0));
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Flaw::malformed(start, "a number is longer than 64 bits"))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(found) = rest.first_chunk::<N>() else {
            return Err(Flaw::truncated(
                self.offset(),
                "a number",
                N as u64,
                rest.len() as u64,
            ));
        };
        self.at += N;
        Ok(*found)
    }

    fn delimited(&mut self) -> Result<Payload<'a>, Flaw> {
        let at = self.offset();
        let length = self.varint()?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or_else(|| Flaw::truncated(at, "a field", length, rest.len() as u64))?;
        let offset = self.offset();
        self.at += bytes.len();
        Ok(Payload::Bytes { bytes, offset })
    }
}

impl<'a> Field<'a> {
    fn wrong(&self, expected: &str) -> Flaw {
        let found = match self.payload {
            Payload::Varint(_) => "a varint",
            Payload::Fixed64(_) => "64 fixed bits",
            Payload::Fixed32(_) => "32 fixed bits",
            Payload::Bytes { .. } => "bytes",
        };
        Flaw::malformed(
            self.offset,
            format!("field {} holds {found} instead of {expected}", self.number),
        )
    }

    pub fn u64(&self) -> Result<u64, Flaw> {
        match self.payload {
            Payload::Varint(value) => Ok(value),
            _ => Err(self.wrong("a varint")),
        }
    }

    pub fn u32(&self) -> Result<u32, Flaw> {
        let value = self.u64()?;
        u32::try_from(value).map_err(|_| {
            Flaw::malformed(
                self.offset,
                format!("field {} holds {value}, more than 32 bits", self.number),
            )
        })
    }

    pub fn flag(&self) -> Result<bool, Flaw> {
        Ok(self.u64()? != 0)
    }

    pub fn f64(&self) -> Result<f64, Flaw> {
        match self.payload {
            Payload::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong("64 fixed bits")),
        }
    }

    pub fn f32(&self) -> Result<f32, Flaw> {
        match self.payload {
            Payload::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.wrong("32 fixed bits")),
        }
    }

    pub fn bytes(&self) -> Result<(&'a [u8], u64), Flaw> {
        match self.payload {
            Payload::Bytes { bytes, offset } => Ok((bytes, offset)),
            _ => Err(self.wrong("bytes")),
        }
    }

    pub fn message(&self) -> Result<Fields<'a>, Flaw> {
        let (bytes, offset) = self.bytes()?;
        Ok(Fields::new(bytes, offset))
    }

    pub fn text(&self) -> Result<&'a str, Flaw> {
        let (bytes, offset) = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| {
            Flaw::malformed(
                offset + error.valid_up_to() as u64,
                format!("the text of field {} is not UTF-8", self.number),
            )
        })
    }

    /// Text that a user's file may have brought in, in whatever encoding.
    pub fn loose_text(&self) -> Result<String, Flaw> {
        Ok(String::from_utf8_lossy(self.bytes()?.0).into_owned())
    }

    /// A repeated number, packed or not.
    pub fn numbers(&self, into: &mut Vec<u64>) -> Result<(), Flaw> {
        match self.payload {
            Payload::Varint(value) => into.push(value),
            Payload::Bytes { bytes, offset } => {
                let mut packed = Fields::new(bytes, offset);
                while packed.at < packed.bytes.len() {
                    into.push(packed.varint()?);
                }
            }
            _ => return Err(self.wrong("numbers")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_wire_type() {
        let bytes = [
            0x08, 0x96, 0x01, // 1: 150
            0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, // 2: 1.0
            0x1a, 0x02, b'h', b'i', // 3: "hi"
            0x25, 0, 0, 0x80, 0x3f, // 4: 1.0f
        ];
        let mut fields = Fields::new(&bytes, 100);
        let mut next = || fields.next().unwrap().unwrap();
        assert_eq!(next().u64().unwrap(), 150);
        assert_eq!(next().f64().unwrap(), 1.0);
        let text = next();
        assert_eq!((text.text().unwrap(), text.offset), ("hi", 112));
        assert_eq!(next().f32().unwrap(), 1.0);
        assert!(fields.next().unwrap().is_none());
    }

    #[test]
    fn a_length_past_the_end_names_its_offset() {
        let flaw = Fields::new(&[0x0a, 0x7f, 1], 40).next().unwrap_err();
        assert_eq!(flaw, Flaw::truncated(41, "a field", 127, 1));
    }

    #[test]
    fn refuses_long_numbers_groups_and_field_zero() {
        for bytes in [&[0xff; 11][..], &[0x0b], &[0x00, 0x00]] {
            assert!(Fields::new(bytes, 0).next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_wrong_type_for_a_field_is_an_error() {
        let field = Fields::new(&[0x08, 1], 7).next().unwrap().unwrap();
        assert_eq!(field.text().unwrap_err().offset, 7);
    }
}
