//! Makes tokens without blocking other requests.

use crate::keys::KeyRing;
use crate::state::Shared;

/// Runs `sign`, which uses the first of `keys`. If that key is slow, such as RSA, the other
/// requests of this worker move to another thread meanwhile. At most one per worker runs at a time,
/// so that many saves do not start many threads.
pub(super) async fn signing<T>(shared: &Shared, keys: &KeyRing, sign: impl FnOnce() -> T) -> T {
    if !keys.signing().is_slow() {
        return sign();
    }
    // The semaphore is never closed; an error would only mean one more thread.
    let _permit = shared.signing.acquire().await.ok();
    tokio::task::block_in_place(sign)
}
