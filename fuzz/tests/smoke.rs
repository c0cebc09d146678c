//! Runs each target with its seeds and some thousands of mutations, always the same ones, in a few
//! seconds. Inputs found by libFuzzer are among the seeds.

use std::path::Path;

/// For each target, where `CLOAKROOM_MUTATIONS` names no other number.
const MUTATIONS: usize = 4000;

/// Marsaglia's xorshift: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % limit.max(1)
    }
}

/// Sorted by name, so that every run is the same.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

/// A few bytes replaced, inserted, removed, doubled or taken from another seed.
fn mutate(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    const TELLING: &[u8] = b"\0\n\r\t ;=,.\"\\{}[]:0-9eE+au\x7F\x80\xFF";
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(8)).min(bytes.len());
        match numbers.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[numbers.below(TELLING.len())],
            2 => bytes.insert(at, TELLING[numbers.below(TELLING.len())]),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(24)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => bytes.truncate(at.max(2)),
        }
    }
    bytes
}

fn smoke(target: &str) {
    let (_, run) = cloakroom_fuzz::TARGETS
        .into_iter()
        .find(|(name, _)| *name == target)
        .expect("a target of that name");
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| run(seed));
    run(b"");
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let rounds = std::env::var("CLOAKROOM_MUTATIONS").ok().and_then(|text| text.parse().ok());
    for round in 0..rounds.unwrap_or(MUTATIONS) {
        let other = &seeds[numbers.below(seeds.len())];
        let input = mutate(&seeds[round % seeds.len()], other, &mut numbers);
        // The panic tells what was violated; this adds the input.
        let outcome = std::panic::catch_unwind(|| run(&input));
        assert!(outcome.is_ok(), "{target}, round {round}: b\"{}\"", input.escape_ascii());
    }
}

#[test]
fn an_answer_goes_on_as_one_that_nobody_can_read_in_two_ways() {
    smoke("answer");
}

#[test]
fn a_configuration_is_read_or_has_faults_and_says_the_same_when_printed() {
    smoke("config");
}

#[test]
fn other_peoples_cookies_stay_and_ours_go() {
    smoke("cookie_header");
}

#[test]
fn what_a_backend_asks_for_is_carried_out_or_refused_with_a_reason() {
    smoke("directive");
}

#[test]
fn the_next_request_has_what_the_last_answer_saved() {
    smoke("open_close");
}

#[test]
fn no_record_opens_that_was_edited_and_no_ticket_is_a_session() {
    smoke("stored");
}

#[test]
fn nothing_verifies_but_what_was_signed() {
    smoke("token");
}

#[test]
fn every_target_has_seeds_and_a_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, suffix) in [(folder.join("seeds"), ""), (folder.join("fuzz_targets"), ".rs")] {
        let files = std::fs::read_dir(&folder).expect("a folder");
        let mut found: Vec<_> =
            files.map(|file| file.expect("a file").file_name().into_string().unwrap()).collect();
        found.sort();
        let expected = cloakroom_fuzz::TARGETS.map(|(name, _)| format!("{name}{suffix}"));
        assert_eq!(found, expected, "{folder:?}");
    }
}
