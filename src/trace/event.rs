//! One trace event, scanned without allocating.

use super::scan::{Cursor, Stop, nanoseconds, whole};

/// What an event is about, from its `cat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Category {
    #[default]
    Unset,
    Kernel,
    Memcpy,
    Memset,
    Runtime,
    CpuOp,
    PythonFunction,
    UserAnnotation,
    GpuAnnotation,
    Flow,
    Other,
}

impl Category {
    /// Today's words, and the capitalised ones of PyTorch before 1.12.
    fn of(text: &[u8]) -> Self {
        match text {
            b"kernel" | b"Kernel" | b"gpu_kernel" => Self::Kernel,
            b"gpu_memcpy" | b"Memcpy" => Self::Memcpy,
            b"gpu_memset" | b"Memset" => Self::Memset,
            b"cpu_op" | b"Operator" => Self::CpuOp,
            b"python_function" => Self::PythonFunction,
            b"user_annotation" => Self::UserAnnotation,
            b"gpu_user_annotation" => Self::GpuAnnotation,
            b"ac2g" | b"fwdbwd" | b"async_cpu_to_gpu" | b"async_gpu" => Self::Flow,
            b"Runtime" => Self::Runtime,
            _ if text.ends_with(b"_runtime") || text.ends_with(b"_driver") => Self::Runtime,
            _ => Self::Other,
        }
    }

    /// Whether anything in the event's `args` is kept.
    fn uses_args(self) -> bool {
        !matches!(self, Self::PythonFunction | Self::Flow | Self::Other)
    }
}

/// The parts of an event that the reader keeps, still as text.
#[derive(Debug, Default)]
pub(super) struct Event<'a> {
    /// `X` complete, `M` metadata, and others that are only counted; 0 when absent.
    pub phase: u8,
    pub category: Category,
    pub name: &'a [u8],
    pub pid: &'a [u8],
    pub tid: &'a [u8],
    /// `None` when absent or no number.
    pub start_ns: Option<i64>,
    /// `None` when absent or no number.
    pub dur_ns: Option<i64>,
    pub args: Args<'a>,
}

/// The arguments that are kept.
#[derive(Debug, Default)]
pub(super) struct Args<'a> {
    pub correlation: u64,
    pub external_id: u64,
    pub graph_node: u64,
    pub bytes: u64,
    pub device: Option<u64>,
    pub stream: Option<u64>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    /// `name` of a metadata event.
    pub name: Option<&'a [u8]>,
    pub collective: Option<&'a [u8]>,
    pub group: Option<&'a [u8]>,
    pub group_size: u64,
    pub elements_in: u64,
    pub sequence: Option<u64>,
}

/// Scans the object at the cursor and leaves the cursor behind it.
pub(super) fn scan_event<'a>(cursor: &mut Cursor<'a>) -> Result<Event<'a>, Stop> {
    cursor.expect(b'{', "an event object")?;
    let mut event = Event::default();
    let mut first = true;
    while cursor.member(first, b'}')? {
        first = false;
        match cursor.key()? {
            b"ph" => event.phase = cursor.scalar()?.first().copied().unwrap_or(0),
            b"cat" => event.category = Category::of(cursor.scalar()?),
            b"name" => event.name = cursor.scalar()?,
            b"pid" => event.pid = cursor.scalar()?,
            b"tid" => event.tid = cursor.scalar()?,
            b"ts" => event.start_ns = nanoseconds(cursor.scalar()?),
            b"dur" => event.dur_ns = nanoseconds(cursor.scalar()?),
            b"args" if event.category.uses_args() && cursor.peek()? == b'{' => {
                scan_args(cursor, &mut event.args)?;
            }
            _ => cursor.skip_value()?,
        }
    }
    Ok(event)
}

fn scan_args<'a>(cursor: &mut Cursor<'a>, args: &mut Args<'a>) -> Result<(), Stop> {
    cursor.expect(b'{', "an args object")?;
    let mut first = true;
    while cursor.member(first, b'}')? {
        first = false;
        match cursor.key()? {
            b"correlation" => args.correlation = number(cursor)?.unwrap_or(0),
            b"External id" | b"external id" => {
                args.external_id = number(cursor)?.unwrap_or(0);
            }
            b"stream" => args.stream = number(cursor)?,
            b"device" => args.device = number(cursor)?,
            b"grid" => args.grid = triple(cursor)?,
            b"block" => args.block = triple(cursor)?,
            b"bytes" => args.bytes = number(cursor)?.unwrap_or(0),
            b"graph node id" => args.graph_node = number(cursor)?.unwrap_or(0),
            b"name" => args.name = text(cursor)?,
            b"Collective name" => args.collective = text(cursor)?,
            b"Process Group Name" => args.group = text(cursor)?,
            b"Group size" => args.group_size = number(cursor)?.unwrap_or(0),
            b"In msg nelems" => args.elements_in = number(cursor)?.unwrap_or(0),
            b"Seq" => args.sequence = number(cursor)?,
            _ => cursor.skip_value()?,
        }
    }
    Ok(())
}

fn number(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Stop> {
    match cursor.peek()? {
        b'{' | b'[' => cursor.skip_value().map(|()| None),
        _ => cursor.scalar().map(whole),
    }
}

fn text<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Stop> {
    match cursor.peek()? {
        b'{' | b'[' => cursor.skip_value().map(|()| None),
        _ => cursor.scalar().map(Some),
    }
}

fn triple(cursor: &mut Cursor<'_>) -> Result<[u32; 3], Stop> {
    let mut values = [0; 3];
    if cursor.peek()? != b'[' {
        cursor.skip_value()?;
        return Ok(values);
    }
    cursor.at += 1;
    let mut position = 0;
    while cursor.member(position == 0, b']')? {
        let value = number(cursor)?;
        if let Some(slot) = values.get_mut(position) {
            *slot = value
                .and_then(|value| u32::try_from(value).ok())
                .unwrap_or(0);
        }
        position += 1;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Event<'_> {
        scan_event(&mut Cursor::new(text.as_bytes(), 0)).unwrap()
    }

    #[test]
    fn a_kernel_keeps_its_launch_shape() {
        let event = scan(
            r#"{"ph": "X", "cat": "kernel", "name": "k<1>", "pid": 0, "tid": 13,
            "ts": 4643978807354.420, "dur": 1.568, "args": {"queued": 0, "device": 0,
            "stream": 13, "correlation": 881641, "grid": [24, 1, 2], "block": [256, 1, 1],
            "External id": 7}}"#,
        );
        assert_eq!(event.category, Category::Kernel);
        assert_eq!((event.phase, event.name), (b'X', &b"k<1>"[..]));
        assert_eq!(event.start_ns, Some(4_643_978_807_354_420));
        assert_eq!(event.dur_ns, Some(1568));
        assert_eq!(event.args.stream, Some(13));
        assert_eq!(event.args.correlation, 881_641);
        assert_eq!(event.args.grid, [24, 1, 2]);
        assert_eq!(event.args.external_id, 7);
    }

    #[test]
    fn an_argument_never_overrides_the_event() {
        let event = scan(
            r#"{"ph":"X","cat":"kernel","args":{"ts":9,"dur":9,"cat":"cpu_op","x":{"stream":4}},"ts":1,"dur":2}"#,
        );
        assert_eq!(event.category, Category::Kernel);
        assert_eq!((event.start_ns, event.dur_ns), (Some(1000), Some(2000)));
        assert_eq!(event.args.stream, None);
    }

    #[test]
    fn keys_in_any_order_and_odd_values_pass() {
        let event = scan(
            r#"{"args":{"correlation":5,"grid":null},"dur":NaN,"ts":null,"name":"a","cat":"cuda_driver","ph":"X",}"#,
        );
        assert_eq!(event.category, Category::Runtime);
        assert_eq!(event.args.correlation, 5);
        assert_eq!((event.start_ns, event.dur_ns), (None, None));
    }
}
