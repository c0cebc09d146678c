//! RSA keys that Infineon's library has made and that can be factored (ROCA, CVE-2017-15361).
//!
//! Their moduli are powers of 65537 modulo each small prime, which those of other keys are by
//! chance only: once in 2^27.

/// The primes that the library multiplied for its shortest keys.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus, most significant byte first, is one of these.
pub(super) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus.iter().fold(0, |rest, &byte| (rest << 8 | u32::from(byte)) % prime);
        is_power(rest, prime)
    })
}

/// Whether `number` is a power of 65537 modulo `prime`.
fn is_power(number: u32, prime: u32) -> bool {
    let mut power = 1;
    (1..prime).any(|_| {
        let found = power == number;
        power = power * 65537 % prime;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_the_generator_are_weak_and_their_neighbours_are_not() {
        // Below 65537^7 they fit into 128 bits.
        let power = 65537_u128.pow(7);
        assert!(is_weak(&power.to_be_bytes()));
        assert!(is_weak(&1_u128.to_be_bytes()));
        for other in [power + 2, power - 2, power * 3, 0] {
            assert!(!is_weak(&other.to_be_bytes()), "{other}");
        }
    }

    #[test]
    fn other_numbers_are_not_weak() {
        let weak = |seed: u64| is_weak(&seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        assert_eq!((1..100_000).filter(|seed| weak(*seed)).count(), 0);
    }
}
