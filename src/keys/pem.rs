//! Key pairs in PEM (RFC 7468): which keys each algorithm accepts, and a clear message for each one
//! that is refused. Pure: the caller reads the files.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, Family};
use super::private_key::PrivateKey;
use super::public_key::PublicKey;

mod der;
mod error;
mod roca;

pub use error::PemError;
use error::{LEAST_RSA_BITS, MOST_RSA_BITS};

/// Both keys of the private key in `pem`.
pub(super) fn private(
    pem: &[u8],
    algorithm: Algorithm,
) -> Result<(PrivateKey, PublicKey), PemError> {
    let signing = match Label::of(pem)? {
        Label::Private | Label::RsaPrivate => signing(pem, algorithm)?,
        Label::EcPrivate => signing_of_sec1(pem, algorithm).ok_or(PemError::Unfit(algorithm))?,
        Label::Public => return Err(PemError::Public),
    };
    let unfit = || PemError::Unfit(algorithm);
    // Fails for a key on another curve and for an RSA key that is too short.
    let theirs = algorithm.of_jsonwebtoken().ok_or_else(unfit)?;
    let jwk = Jwk::from_encoding_key(&signing, theirs).map_err(|_| unfit())?;
    check(&jwk, algorithm)?;
    let verifying = PublicKey::new(algorithm, &jwk).ok_or_else(unfit)?;
    let signing = PrivateKey::new(algorithm, &signing).ok_or_else(unfit)?;
    Ok((signing, verifying))
}

fn signing(pem: &[u8], algorithm: Algorithm) -> Result<EncodingKey, PemError> {
    check_marks(pem, algorithm)?;
    match algorithm.family() {
        Family::Rsa => EncodingKey::from_rsa_pem(pem),
        Family::Ec => EncodingKey::from_ec_pem(pem),
        Family::Ed => EncodingKey::from_ed_pem(pem),
        Family::Hmac | Family::Aes => return Err(PemError::Unfit(algorithm)),
    }
    .map_err(|_| PemError::Unfit(algorithm))
}

/// An EC key in its old form (SEC 1, RFC 5915), as written by `openssl ecparam -genkey`;
/// `jsonwebtoken` needs PKCS #8. None if the key is not on the algorithm's curve.
fn signing_of_sec1(pem: &[u8], algorithm: Algorithm) -> Option<EncodingKey> {
    let curve = match algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => return None,
    };
    let mut blocks = pem::parse_many(pem).ok()?.into_iter();
    let key = Zeroizing::new(blocks.find(|block| block.tag() == SEC1)?.into_contents());
    let pair = EcdsaKeyPair::from_private_key_der(curve, &key).ok()?;
    Some(EncodingKey::from_ec_der(pair.to_pkcs8v1().ok()?.as_ref()))
}

/// The public key in `pem`.
pub(super) fn public(pem: &[u8], algorithm: Algorithm) -> Result<PublicKey, PemError> {
    match Label::of(pem)? {
        Label::Public => {}
        Label::Private | Label::RsaPrivate | Label::EcPrivate => return Err(PemError::Private),
    }
    check_marks(pem, algorithm)?;
    let unfit = || PemError::Unfit(algorithm);
    let verifying = match algorithm.family() {
        Family::Rsa => DecodingKey::from_rsa_pem(pem),
        Family::Ec => DecodingKey::from_ec_pem(pem),
        Family::Ed => DecodingKey::from_ed_pem(pem),
        Family::Hmac | Family::Aes => return Err(unfit()),
    }
    .map_err(|_| unfit())?;
    let jwk =
        Jwk::from_decoding_key(&verifying, algorithm.of_jsonwebtoken()).map_err(|_| unfit())?;
    check(&jwk, algorithm)?;
    PublicKey::new(algorithm, &jwk).ok_or_else(unfit)
}

/// Object identifiers (RFC 4055 section 3.1, RFC 5480 section 2.1.1).
const RSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const P_256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P_384: &[u8] = b"\x2b\x81\x04\x00\x22";

/// Checks that the type in the key matches the algorithm. A point of secp256k1 is as long as one of
/// P-256, and the library cannot read an RSA key marked for RSA-PSS.
fn check_marks(pem: &[u8], algorithm: Algorithm) -> Result<(), PemError> {
    let der = pem::parse(pem).map_err(|_| PemError::Unfit(algorithm))?;
    let marks = der::marks(der.contents());
    let is_ec = |curve| marks == Some((EC, Some(curve)));
    match algorithm {
        Algorithm::Es256 if !is_ec(P_256) => Err(PemError::Unfit(algorithm)),
        Algorithm::Es384 if !is_ec(P_384) => Err(PemError::Unfit(algorithm)),
        _ if algorithm.family() == Family::Rsa
            && marks.is_some_and(|(kind, _)| kind == RSA_PSS) =>
        {
            Err(PemError::MarkedForPss(algorithm))
        }
        _ => Ok(()),
    }
}

/// Checks that a public key can be used with the algorithm.
fn check(jwk: &Jwk, algorithm: Algorithm) -> Result<(), PemError> {
    match (&jwk.algorithm, algorithm) {
        (AlgorithmParameters::RSA(rsa), _) => match bits(&rsa.n) {
            bits @ ..LEAST_RSA_BITS => Err(PemError::ShortRsa { bits }),
            LEAST_RSA_BITS..=MOST_RSA_BITS if is_roca(&rsa.n) => Err(PemError::Roca),
            LEAST_RSA_BITS..=MOST_RSA_BITS => Ok(()),
            bits => Err(PemError::LongRsa { bits }),
        },
        (AlgorithmParameters::EllipticCurve(ec), Algorithm::Es256)
            if ec.curve == EllipticCurve::P256 =>
        {
            Ok(())
        }
        (AlgorithmParameters::EllipticCurve(ec), Algorithm::Es384)
            if ec.curve == EllipticCurve::P384 =>
        {
            Ok(())
        }
        (AlgorithmParameters::OctetKeyPair(_), Algorithm::EdDsa) => Ok(()),
        _ => Err(PemError::Unfit(algorithm)),
    }
}

fn is_roca(modulus: &str) -> bool {
    URL_SAFE_NO_PAD.decode(modulus).is_ok_and(|bytes| roca::is_weak(&bytes))
}

/// The length in bits of a number in base64url.
fn bits(number: &str) -> usize {
    let bytes = URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match bytes.get(zeros) {
        Some(first) => (bytes.len() - zeros) * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

/// The type in the header of a PEM block.
enum Label {
    Private,
    RsaPrivate,
    EcPrivate,
    Public,
}

impl Label {
    fn of(pem: &[u8]) -> Result<Self, PemError> {
        let text = str::from_utf8(pem).map_err(|_| PemError::NoPem)?;
        let labels: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
            // Names the curve, which the key itself also does.
            .filter(|label| *label != "EC PARAMETERS")
            .collect();
        let [label] = labels[..] else {
            return Err(match labels.first() {
                None => PemError::NoPem,
                Some(_) => PemError::Several { blocks: labels.len() },
            });
        };
        match label {
            "PRIVATE KEY" => Ok(Self::Private),
            "RSA PRIVATE KEY" | SEC1 if text.contains("ENCRYPTED") => Err(PemError::Encrypted),
            "RSA PRIVATE KEY" => Ok(Self::RsaPrivate),
            SEC1 => Ok(Self::EcPrivate),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Ok(Self::Public),
            "ENCRYPTED PRIVATE KEY" => Err(PemError::Encrypted),
            "CERTIFICATE" => Err(PemError::Certificate),
            other => Err(PemError::Other { label: other.to_owned() }),
        }
    }
}

/// The PEM label of an EC key in its old form.
const SEC1: &str = "EC PRIVATE KEY";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use std::process::Command;

    use super::*;
    use crate::keys::{Key, Signature};

    /// The output of `openssl`.
    fn openssl(arguments: &str, input: &str) -> String {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut child = Command::new("openssl")
            .args(arguments.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {arguments}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn rsa(bits: u32) -> String {
        openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits}"), "")
    }

    fn ec(curve: &str) -> String {
        openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve}"), "")
    }

    fn ed() -> String {
        openssl("genpkey -algorithm ED25519", "")
    }

    fn public_of(private: &str) -> String {
        openssl("pkey -pubout", private)
    }

    #[test]
    fn every_algorithm_signs_and_verifies_with_a_pair_of_its_kind() {
        let rsa = rsa(2048);
        for (algorithm, private) in [
            (Algorithm::Rs256, &rsa),
            (Algorithm::Rs384, &rsa),
            (Algorithm::Rs512, &rsa),
            (Algorithm::Ps256, &rsa),
            (Algorithm::Ps384, &rsa),
            (Algorithm::Ps512, &rsa),
            (Algorithm::Rs256, &openssl("rsa -traditional", &rsa)),
            (Algorithm::Es256, &ec("P-256")),
            (Algorithm::Es384, &ec("P-384")),
            (Algorithm::Es256, &openssl("ecparam -name prime256v1 -genkey -noout", "")),
            (Algorithm::Es384, &openssl("ecparam -name secp384r1 -genkey", "")),
            (Algorithm::EdDsa, &ed()),
        ] {
            let pair = Key::private(None, algorithm, private.as_bytes()).unwrap();
            let public = Key::public(None, algorithm, public_of(private).as_bytes()).unwrap();
            let name = algorithm.name();
            assert!(pair.can_sign() && !public.can_sign(), "{name}");
            assert!(pair.is_pair_of(&public) && pair.is_pair_of(&pair), "{name}");
            assert!(!public.is_pair_of(&public), "{name}");
            let signature = pair.sign(b"message").unwrap();
            let signature = Signature::parse(&signature).unwrap();
            assert!(public.verify(b"message", &signature), "{name}");
            assert!(!public.verify(b"another", &signature), "{name}");
        }
    }

    /// A private key with an attribute (RFC 5208 section 5) that is an object identifier.
    fn with_attribute(private: &str, identifier: &[u8]) -> String {
        let block = pem::parse(private).unwrap();
        // A sequence with a length of two bytes.
        let (header, content) = block.contents().split_at(4);
        assert_eq!(header[..2], [0x30, 0x82]);
        assert_eq!(usize::from(u16::from_be_bytes([header[2], header[3]])), content.len());
        let length = u8::try_from(identifier.len()).unwrap();
        let attributes = [&[0xa0, length + 2, 0x06, length], identifier].concat();
        let content = [content, &attributes].concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        pem::encode(&pem::Pem::new("PRIVATE KEY", [&[0x30, 0x82], &length[..], &content].concat()))
    }

    #[test]
    fn only_what_a_key_is_said_to_be_marks_it() {
        let rsa = rsa(2048);
        for identifier in [RSA_PSS, P_256, P_384] {
            let marked = with_attribute(&rsa, identifier);
            assert_eq!(check_marks(marked.as_bytes(), Algorithm::Rs256), Ok(()));
            for ec in [Algorithm::Es256, Algorithm::Es384] {
                assert!(check_marks(marked.as_bytes(), ec).is_err());
            }
        }
        let pss = openssl("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", "");
        for pem in [&pss, &public_of(&pss)] {
            let refused = check_marks(pem.as_bytes(), Algorithm::Ps256).unwrap_err();
            assert_eq!(refused, PemError::MarkedForPss(Algorithm::Ps256));
        }
        let other = ec("secp256k1");
        for pem in [&other, &public_of(&other)] {
            assert!(check_marks(pem.as_bytes(), Algorithm::Es256).is_err());
        }
        // Text that is not a key is refused elsewhere.
        let nonsense = pem::encode(&pem::Pem::new("PUBLIC KEY", vec![0x30, 0x84, 1]));
        assert_eq!(check_marks(nonsense.as_bytes(), Algorithm::Rs256), Ok(()));
    }

    #[test]
    fn a_public_key_of_rsa_may_stand_in_its_old_form() {
        let private = rsa(2048);
        let public = openssl("rsa -pubin -RSAPublicKey_out", &public_of(&private));
        let public = Key::public(None, Algorithm::Rs256, public.as_bytes()).unwrap();
        assert!(
            Key::private(None, Algorithm::Rs256, private.as_bytes()).unwrap().is_pair_of(&public)
        );
    }

    #[test]
    fn what_is_no_key_for_the_algorithm_is_told_in_one_line() {
        let (rsa, weak, p256, p384, ed) = (rsa(2048), rsa(1024), ec("P-256"), ec("P-384"), ed());
        let encrypted = openssl("pkey -aes256 -passout pass:x", &p256);
        let old_encrypted = openssl("rsa -traditional -aes256 -passout pass:x", &rsa);
        let old_encrypted_ec = openssl("ec -aes256 -passout pass:x", &p256);
        let old_ec = openssl("ec", &p384);
        for (algorithm, private, part) in [
            (Algorithm::Rs256, weak.as_str(), "2048 bits"),
            (Algorithm::Rs256, &p256, "needs an RSA key"),
            (Algorithm::Ps512, &ed, "needs an RSA key"),
            (Algorithm::Es256, &rsa, "P-256"),
            (Algorithm::Es256, &p384, "P-256"),
            (Algorithm::Es384, &p256, "P-384"),
            (Algorithm::Es256, &ed, "P-256"),
            (Algorithm::EdDsa, &p256, "Ed25519"),
            (Algorithm::Es256, &encrypted, "passphrase-protected"),
            (Algorithm::Rs256, &old_encrypted, "passphrase-protected"),
            (Algorithm::Es256, &old_encrypted_ec, "passphrase-protected"),
            (Algorithm::Es256, &old_ec, "P-256"),
            (Algorithm::Rs256, &old_ec, "RSA"),
            (Algorithm::Es256, &public_of(&p256), "expected a private key"),
            (Algorithm::Rs256, &public_of(&rsa), "expected a private key"),
            (Algorithm::Es256, &format!("{p256}{p384}"), "2 PEM blocks"),
            (Algorithm::Es256, "secret", "no PEM block"),
            (
                Algorithm::Es256,
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "P-256",
            ),
        ] {
            let error = Key::private(None, algorithm, private.as_bytes()).expect_err(part);
            let error = error.to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
        for (algorithm, public, part) in [
            (Algorithm::Es256, p256.as_str(), "private key"),
            (Algorithm::Es384, &old_ec, "private key"),
            (Algorithm::Rs256, &public_of(&weak), "1024 bits"),
            (Algorithm::Es256, &public_of(&p384), "P-256"),
            (Algorithm::Es384, &public_of(&p256), "P-384"),
            (Algorithm::EdDsa, &public_of(&p256), "Ed25519"),
            (Algorithm::Rs256, &public_of(&ed), "RSA"),
        ] {
            let error = Key::public(None, algorithm, public.as_bytes()).expect_err(part);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
