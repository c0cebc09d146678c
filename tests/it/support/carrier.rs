//! Who carries requests of HTTP/1.1: the sidecar learns it from the environment of the tests.

/// One of the two.
#[allow(dead_code, reason = "only tests/it asks")]
pub struct Carrier;

#[allow(dead_code, reason = "only tests/it asks")]
impl Carrier {
    /// Whether it is the exchange, which is stricter than pingora, and answers pipelined requests.
    pub fn is_exchange() -> bool {
        std::env::var("CLOAKROOM_CARRIER").is_ok_and(|carrier| carrier == "exchange")
    }
}
