#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;

use super::*;

const NONCE: [u8; 12] = [7; 12];

fn dict(text: &str) -> Dict {
    Dict::parse(text.as_bytes()).unwrap()
}

fn key(byte: u8) -> SessionKey {
    SessionKey::from_bytes([byte; 32])
}

fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

fn text_of(key: &SessionKey) -> String {
    let mut text = String::new();
    key.write_to(&mut text);
    text
}

#[test]
fn a_record_opens_with_its_key_for_its_session_and_revision_only() {
    let basket = dict(r#"{"user":"ada","n":1e400,"s":"\ud800"}"#);
    let record = seal(&basket, &key(1), &id(1), 3, NONCE).unwrap();
    assert_eq!(open(record.clone(), &key(1), &id(1), 3), Ok(basket));
    for (key, id, revision) in
        [(key(2), id(1), 3), (key(1), id(2), 3), (key(1), id(1), 4), (key(1), id(1), 3 << 32)]
    {
        assert_eq!(open(record.clone(), &key, &id, revision), Err(RecordError::NotAuthentic));
    }
}

#[test]
fn the_layout_is_as_the_page_says() {
    let record = seal(&dict("{}"), &key(1), &id(1), 1, NONCE).unwrap();
    assert_eq!(record.len(), 2 + OVERHEAD);
    assert_eq!(record[0], 1);
    assert_eq!(record[1..13], NONCE);
    // The result of any other implementation of AES-256-GCM for the same arguments.
    let mut sealed = b"{}".to_vec();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).unwrap());
    let bound = [[1u8; 16].as_slice(), &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let nonce = Nonce::assume_unique_for_key(NONCE);
    cipher.seal_in_place_append_tag(nonce, Aad::from(bound), &mut sealed).unwrap();
    assert_eq!(record[13..], sealed);
}

#[test]
fn what_is_cut_or_of_a_later_version_says_so() {
    let record = seal(&dict("{}"), &key(1), &id(1), 1, NONCE).unwrap();
    let opened = |record: &[u8]| open(record.to_vec(), &key(1), &id(1), 1).unwrap_err();
    assert_eq!(opened(b""), RecordError::Cut);
    assert_eq!(opened(&record[..OVERHEAD - 1]), RecordError::Cut);
    assert_eq!(opened(&record[..OVERHEAD + 1]), RecordError::NotAuthentic);
    let later = [[2].as_slice(), &record[1..]].concat();
    assert_eq!(opened(&later), RecordError::UnknownVersion(2));
}

#[test]
fn a_key_is_43_characters_and_one_text_only() {
    let text = text_of(&key(0xFF));
    assert_eq!(text.len(), SessionKey::TEXT_LENGTH);
    assert_eq!(SessionKey::parse(&text), Some(key(0xFF)));
    let stray_bit = format!("{}9", &text[..42]);
    for other in [&text[..42], &format!("{text}A"), &format!("{text}="), &stray_bit, "", "é"] {
        assert_eq!(SessionKey::parse(other), None, "{other}");
    }
}

#[test]
fn neither_key_nor_subject_can_be_printed() {
    assert_eq!(format!("{:?}", key(1)), "SessionKey");
    assert_eq!(format!("{:?}", SubjectHash::of_text(b"ada")), "SubjectHash");
}

#[test]
fn a_subject_is_one_however_it_is_typed() {
    let of = |text: &str| SubjectHash::of(&dict(text), &["user", "id"]);
    let seven = of(r#"{"user":{"id":7}}"#);
    assert_eq!(seven, of(r#"{"user":{"id":"7"}}"#));
    assert_eq!(seven, Some(SubjectHash::of_text(b"7")));
    assert_ne!(seven, of(r#"{"user":{"id":8}}"#));
    assert_eq!(of("{}"), None);
    // The first half of sha256("cloakroom subject\07").
    let hex: String = seven.unwrap().as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "115074f6f92d0e6fa7f883788fd145fb");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again(
        text in ".{0,80}", key: [u8; 32], id: [u8; 16], revision: u64, nonce: [u8; 12]
    ) {
        let dict = dict(&serde_json::json!({ "v": text }).to_string());
        let (key, id) = (SessionKey::from_bytes(key), SessionId::from_bytes(id));
        let record = seal(&dict, &key, &id, revision, nonce).unwrap();
        prop_assert_eq!(record.len(), dict.as_str().len() + OVERHEAD);
        prop_assert_eq!(open(record, &key, &id, revision), Ok(dict));
        prop_assert_eq!(SessionKey::parse(&text_of(&key)), Some(key));
    }

    #[test]
    fn no_record_opens_that_was_edited(at: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index) {
        let record = seal(&dict(r#"{"user":"ada"}"#), &key(1), &id(1), 1, NONCE).unwrap();
        let mut edited = record.clone();
        edited[at.index(record.len())] ^= 1 << bit;
        prop_assert!(open(edited, &key(1), &id(1), 1).is_err());
        let cut = &record[..cut.index(record.len())];
        prop_assert!(open(cut.to_vec(), &key(1), &id(1), 1).is_err());
        prop_assert!(open([record.as_slice(), &[0]].concat(), &key(1), &id(1), 1).is_err());
    }

    #[test]
    fn bytes_that_nobody_sealed_never_open(bytes: Vec<u8>) {
        prop_assert!(open(bytes, &key(1), &id(1), 1).is_err());
    }
}
