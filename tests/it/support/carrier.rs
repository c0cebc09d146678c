//! Which carrier handles HTTP/1.1: the tests pass it to the sidecar in the environment.

/// The carrier under test.
#[allow(dead_code, reason = "only tests/it asks")]
pub struct Carrier;

#[allow(dead_code, reason = "only tests/it asks")]
impl Carrier {
    /// Whether it is the exchange, which is stricter than pingora and answers pipelined requests.
    pub fn is_exchange() -> bool {
        std::env::var("CLOAKROOM_CARRIER").map_or(true, |carrier| carrier == "exchange")
    }
}
