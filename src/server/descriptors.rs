//! The maximum number of connections: each needs a file descriptor, and another one to the backend.
//! A process without free descriptors can neither accept nor connect.

use log::Level;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors for other uses: files, listeners, the runtime, DNS look-ups.
const OTHERS: usize = 64;

/// Below this, the operator is warned.
const FEW: usize = 1000;

/// The possible numbers of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Simultaneous client connections.
    pub(super) connections: usize,
    /// Idle connections to the backend.
    pub(super) pool: usize,
}

/// Raises the limit of the process as far as possible and returns what fits.
pub(super) fn make_room(wanted: usize) -> Room {
    let limit = raise().unwrap_or_else(|error| {
        log::warn!(error:% = error; "the limit of open files cannot be read");
        1024
    });
    let room = room(limit);
    if room.connections < wanted {
        let level = if room.connections < FEW { Level::Warn } else { Level::Info };
        log::log!(
            level, descriptors = limit, connections = room.connections;
            "limits.connections is more than ulimit -n allows: accepting fewer"
        );
    }
    room
}

fn raise() -> nix::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Ok(usize::try_from(hard).unwrap_or(usize::MAX));
    }
    Ok(usize::try_from(soft).unwrap_or(usize::MAX))
}

fn room(limit: usize) -> Room {
    let pool = (limit / 8).clamp(1, 128);
    let fit = limit.saturating_sub(OTHERS + pool) / 2;
    Room { connections: fit.max(1), pool }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_descriptor_for_both_ends() {
        for (limit, connections) in [(256, 80), (1024, 416), (20_192, 10_000), (8, 1)] {
            let room = room(limit);
            assert_eq!(room.connections, connections, "{limit}");
            assert!(limit < 100 || 2 * room.connections + room.pool + OTHERS <= limit, "{limit}");
        }
    }
}
