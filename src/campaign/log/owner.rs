//! A lock for network file systems: whoever creates the owner file has it.
//!
//! The owner rewrites the file's beat while it holds the lock. A waiter that
//! sees no new beat for a while, by its own clock, moves the file away under a
//! name of its own and looks whether it was still the dead one's.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::crash::{Point, point};
use crate::disk::DiskError;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Card {
    host: String,
    pid: u32,
    /// Tells apart the locks of one process.
    turn: u64,
    beat: u64,
}

impl Card {
    fn is_of(&self, other: &Self) -> bool {
        (&self.host, self.pid, self.turn) == (&other.host, other.pid, other.turn)
    }

    /// A process of this host that is no more.
    fn is_gone(&self) -> bool {
        let pid = nix::unistd::Pid::from_raw(self.pid.cast_signed());
        self.host == host() && nix::sys::signal::kill(pid, None) == Err(nix::errno::Errno::ESRCH)
    }
}

/// The lock, held until dropped.
pub(super) struct Owner {
    path: PathBuf,
    card: Card,
    stop: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

const POLL: Duration = Duration::from_millis(2);
const SLOW_POLL: Duration = Duration::from_millis(100);
/// Beats between two looks at whether the owner is dead.
const BEATS: u32 = 8;

/// Waits for the lock; an owner without a beat for `dead_after` loses it.
pub(super) fn take(path: &Path, dead_after: Duration) -> Result<Owner, DiskError> {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    let card = Card {
        host: host(),
        pid: std::process::id(),
        turn: TURNS.fetch_add(1, Ordering::Relaxed),
        beat: 0,
    };
    let mut seen: Option<(Card, Instant)> = None;
    let started = Instant::now();
    loop {
        if create(path, &card)? {
            return Ok(Owner::alive(path, card, dead_after / BEATS));
        }
        let now = Instant::now();
        match (read(path), &seen) {
            (Some(there), Some((known, since))) if there == *known => {
                if there.is_gone() || now.duration_since(*since) > dead_after {
                    evict(path, &there, card.turn);
                    seen = None;
                }
            }
            (Some(there), _) => seen = Some((there, now)),
            // Between its creation and its content, or gone already.
            (None, _) if empty_for(path, dead_after) => evict_empty(path, card.turn),
            (None, _) => {}
        }
        std::thread::sleep(if started.elapsed() < Duration::from_secs(1) {
            POLL
        } else {
            SLOW_POLL
        });
    }
}

impl Owner {
    fn alive(path: &Path, card: Card, every: Duration) -> Self {
        let (stop, stopped) = channel();
        let heart = {
            let (path, card) = (path.to_path_buf(), card.clone());
            std::thread::spawn(move || beat(&path, card, every, &stopped))
        };
        Self {
            path: path.to_path_buf(),
            card,
            stop: Some(stop),
            heart: Some(heart),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        if read(&self.path).is_some_and(|there| there.is_of(&self.card)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn beat(path: &Path, mut card: Card, every: Duration, stopped: &Receiver<()>) {
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        card.beat += 1;
        if !read(path).is_some_and(|there| there.is_of(&card)) {
            return;
        }
        let json = serde_json::to_vec(&card).unwrap_or_default();
        if let Err(error) = crate::disk::write_atomic(path, &json) {
            tracing::warn!(%error, "the log's lock was not refreshed");
        }
    }
}

/// Creates the owner file with its content; false where there is one.
fn create(path: &Path, card: &Card) -> Result<bool, DiskError> {
    let wrap = |source| DiskError::Write {
        path: path.to_path_buf(),
        source,
    };
    match OpenOptions::new().create_new(true).write(true).open(path) {
        Ok(mut file) => {
            point(Point::OwnerEmpty);
            let json = serde_json::to_vec(card).unwrap_or_default();
            file.write_all(&json).map_err(wrap)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(wrap(error)),
    }
}

fn read(path: &Path) -> Option<Card> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Moves a dead owner's file away, unless somebody else was faster and it is
/// a living one's by now: then it is put back.
fn evict(path: &Path, dead: &Card, turn: u64) {
    let aside = aside(path, turn);
    if fs::rename(path, &aside).is_err() {
        return;
    }
    if read(&aside).is_some_and(|there| !there.is_of(dead)) {
        let _ = fs::hard_link(&aside, path);
    }
    let _ = fs::remove_file(&aside);
}

/// Whether a file without content is older than that, by the file system's clock.
fn empty_for(path: &Path, dead_after: Duration) -> bool {
    let age = fs::metadata(path).and_then(|meta| meta.modified());
    age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > dead_after))
}

fn evict_empty(path: &Path, turn: u64) {
    let aside = aside(path, turn);
    if fs::rename(path, &aside).is_ok() {
        if read(&aside).is_some() {
            let _ = fs::hard_link(&aside, path);
        }
        let _ = fs::remove_file(&aside);
    }
}

fn aside(path: &Path, turn: u64) -> PathBuf {
    path.with_extension(format!("owner.{}.{}.{turn}", host(), std::process::id()))
}

fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default()
}
