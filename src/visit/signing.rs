//! Tokens are made where no other request waits for it.

use crate::keys::KeyRing;
use crate::state::Shared;

/// Does what signs with the first of `keys`. With a key that takes long for it, such as one of RSA, the
/// other requests of this worker go on on another thread meanwhile; and there are never more of these
/// than workers, so that a burst of saves starts no burst of threads.
pub(super) async fn signing<T>(shared: &Shared, keys: &KeyRing, sign: impl FnOnce() -> T) -> T {
    if !keys.signing().is_slow() {
        return sign();
    }
    // Nobody closes it; without it there would be one thread more.
    let _permit = shared.signing.acquire().await.ok();
    tokio::task::block_in_place(sign)
}
