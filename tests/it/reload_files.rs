//! Every way of replacing files is noticed, for the configuration and for each key file.

use std::cell::RefCell;

use jsonwebtoken::Algorithm;

use crate::support::token::{HEADER, mint_as};
use crate::support::{
    Answer, Backend, Builder, SECRET, SetCookie, Sidecar, Volume, Way, eventually, keygen, mint,
};

const SUCCESS: &str = r#"cloakroom_config_reloads_total{outcome="success"}"#;
const FAILURE: &str = r#"cloakroom_config_reloads_total{outcome="failure"}"#;
const FILE: &str = "cloakroom.toml";
const DICT: &str = r#"{"n":1}"#;
const SECRETS: [&str; 4] = [
    SECRET,
    "another secret of the tests, as long as the first!!!!!!!!!!!!!!!",
    "a third secret of the tests, which is a little longer than the others are: is that seen too?",
    "a fourth secret of the tests, short",
];

/// The dict that the backend gets for a token.
fn dict_of(sidecar: &Sidecar, backend: &Backend, token: &str) -> String {
    sidecar.get("/", Some(token));
    backend.last().value("X-Session").expect("a dict")
}

fn minted(secret: &str) -> String {
    mint_as(HEADER, DICT, secret, Algorithm::HS256)
}

#[test]
fn configuration() {
    Way::each(|way| {
        let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
        let text = |name: &str| {
            Sidecar::before(&backend).with(&format!("[cookie]\nname = \"{name}\"")).text()
        };
        let mut volume = Volume::of(way, FILE, &text("a"));
        let sidecar = Sidecar::before(&backend).file(volume.path(FILE)).start();
        // The same length, and another length.
        for name in ["b", "c", "another"] {
            volume.put(&[(FILE, &text(name))]);
            eventually(&format!("{way:?}: {name}"), || {
                SetCookie::named(name, &sidecar.get("/", None))
            });
        }
        sidecar.counts(SUCCESS, 3.0);
        assert_eq!(sidecar.count(FAILURE), 0.0, "{way:?}");
    });
}

#[test]
fn secret_file() {
    Way::each(|way| {
        let backend = Backend::plain();
        let mut volume = Volume::of(way, "key", SECRETS[0]);
        let keys = format!("[[keys]]\nsecret_file = \"{}\"", volume.name("key"));
        let sidecar = Sidecar::before(&backend).keys(&keys).start();
        assert_eq!(dict_of(&sidecar, &backend, &mint(DICT)), DICT);
        for (last, next) in SECRETS.into_iter().zip(SECRETS.into_iter().skip(1)) {
            volume.put(&[("key", next)]);
            eventually(&format!("{way:?}"), || {
                (dict_of(&sidecar, &backend, &minted(next)) == DICT).then_some(())
            });
            assert_eq!(dict_of(&sidecar, &backend, &minted(last)), "{}", "{way:?}");
        }
        sidecar.counts(SUCCESS, 3.0);
        assert_eq!(sidecar.count(FAILURE), 0.0, "{way:?}");
    });
}

/// The new key in one file, the previous one in the other, without `id`s.
#[test]
fn two_secret_files_that_stay_where_they_are() {
    Way::each(|way| {
        let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
        let mut volume = Volume::new(way);
        volume.put(&[("current", SECRETS[0]), ("previous", SECRETS[1])]);
        let keys = format!(
            "[[keys]]\nsecret_file = \"{}\"\n\n[[keys]]\nsecret_file = \"{}\"",
            volume.name("current"),
            volume.name("previous")
        );
        let sidecar = Sidecar::before(&backend).keys(&keys).start();
        let before = SetCookie::token(&sidecar.get("/", None));
        volume.put(&[("previous", SECRETS[0]), ("current", SECRETS[2])]);
        eventually(&format!("{way:?}"), || {
            (dict_of(&sidecar, &backend, &minted(SECRETS[2])) == DICT).then_some(())
        });
        assert_eq!(dict_of(&sidecar, &backend, &before), DICT, "{way:?}");
        assert_eq!(dict_of(&sidecar, &backend, &minted(SECRETS[1])), "{}", "{way:?}");
        assert_eq!(SetCookie::token(&sidecar.get("/", None)), minted(SECRETS[2]), "{way:?}");
        assert_eq!(sidecar.count(FAILURE), 0.0, "{way:?}");
    });
}

/// The private and public key files of three pairs.
fn pairs(algorithm: &str) -> Vec<(String, String)> {
    let pair = |_| {
        let folder = tempfile::tempdir().unwrap();
        let path = keygen(folder.path(), algorithm);
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        (read(&path), read(&format!("{path}.pub")))
    };
    (0..3).map(pair).collect()
}

#[test]
fn both_files_of_a_key_pair() {
    Way::each(|way| {
        let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
        let algorithm = match way {
            Way::Rename => "ES384",
            Way::InPlace => "EdDSA",
            Way::Symlink | Way::Data => "ES256",
        };
        let pairs = pairs(algorithm);
        let put = |volume: &mut Volume, number: usize| {
            let (private, public) = &pairs[number];
            volume.put(&[("key", private), ("key.pub", public)]);
        };
        let mut volume = Volume::new(way);
        put(&mut volume, 0);
        let keys = format!(
            "[[keys]]\nalgorithm = \"{algorithm}\"\nprivate_key_file = \"{}\"\npublic_key_file = \"{}\"",
            volume.name("key"),
            volume.name("key.pub")
        );
        let sidecar = Sidecar::before(&backend).keys(&keys).start();
        for number in 1..3 {
            let old = SetCookie::token(&sidecar.get("/", None));
            assert_eq!(dict_of(&sidecar, &backend, &old), DICT, "{way:?}");
            put(&mut volume, number);
            eventually(&format!("{way:?}"), || {
                (dict_of(&sidecar, &backend, &old) == "{}").then_some(())
            });
        }
    });
}

#[test]
fn public_key_that_only_verifies() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let folder = tempfile::tempdir().unwrap();
    let other = keygen(folder.path(), "ES256");
    let signer = Sidecar::before(&backend)
        .keys(&format!("[[keys]]\nalgorithm = \"ES256\"\nprivate_key_file = \"{other}\""))
        .start();
    let token = SetCookie::token(&signer.get("/", None));
    let theirs = std::fs::read_to_string(format!("{other}.pub")).unwrap();
    let own = &pairs("ES256")[0].1;
    Way::each(|way| {
        let backend = Backend::plain();
        let mut volume = Volume::of(way, "key.pub", own);
        let keys = format!(
            "[[keys]]\nsecret = \"{SECRET}\"\n\n[[keys]]\nalgorithm = \"ES256\"\npublic_key_file = \"{}\"",
            volume.name("key.pub")
        );
        let sidecar = Sidecar::before(&backend).keys(&keys).start();
        assert_eq!(dict_of(&sidecar, &backend, &token), "{}");
        volume.put(&[("key.pub", &theirs)]);
        eventually(&format!("{way:?}"), || {
            (dict_of(&sidecar, &backend, &token) == DICT).then_some(())
        });
    });
}

/// Starts a sidecar with these keys, and checks the error after each change.
fn stays_in_force(
    keys: &str,
    changes: &mut [(&str, &mut dyn FnMut(), &str)],
    fix: &mut dyn FnMut(),
) {
    let backend = Backend::plain();
    let sidecar = Builder::new(backend.url()).keys(keys).start();
    let good = mint(DICT);
    let mut failures = 0.0;
    for (what, change, said) in changes {
        change();
        failures += 1.0;
        sidecar.counts(FAILURE, failures);
        // The log arrives through a pipe, later than the count.
        let log = eventually(&format!("{what}, {said}"), || {
            let log = sidecar.log();
            let mut errors = log.lines().filter(|line| line.contains(r#""level":"error""#));
            errors.any(|line| line.contains(*said)).then_some(log)
        });
        assert_eq!(dict_of(&sidecar, &backend, &good), DICT, "{what}");
        assert_eq!(sidecar.admin("/readyz").status(), 200, "{what}");
        assert!(!log.contains("too short"), "{what}: a secret is in the log");
    }
    assert_eq!(sidecar.count(SUCCESS), 0.0);
    fix();
    sidecar.counts(SUCCESS, 1.0);
    assert_eq!(dict_of(&sidecar, &backend, &minted(SECRETS[1])), DICT);
    assert_eq!(dict_of(&sidecar, &backend, &good), "{}");
}

#[test]
fn faulty_or_vanished_secret_leaves_the_old_one_in_force() {
    Way::each(|way| {
        let volume = RefCell::new(Volume::of(way, "key", SECRET));
        let keys = format!("[[keys]]\nsecret_file = \"{}\"", volume.borrow().name("key"));
        let put = |contents: &str| volume.borrow_mut().put(&[("key", contents)]);
        stays_in_force(
            &keys,
            &mut [
                ("too short", &mut || put("too short"), "has 9 bytes"),
                ("empty", &mut || put(""), "is empty"),
                ("vanished", &mut || volume.borrow().remove("key"), "does not exist"),
            ],
            &mut || put(SECRETS[1]),
        );
    });
}

#[test]
fn folder_of_secrets_that_vanishes_and_comes_back() {
    let mut volume = Volume::of(Way::Data, "key", SECRET);
    let keys = format!("[[keys]]\nsecret_file = \"{}\"", volume.name("key"));
    let data = volume.path("..data");
    stays_in_force(
        &keys,
        &mut [("unmounted", &mut || std::fs::remove_file(&data).unwrap(), "does not exist")],
        &mut || volume.put(&[("key", SECRETS[1])]),
    );
}

#[test]
fn key_whose_file_is_no_key_any_more() {
    let mut volume = Volume::of(Way::Rename, "other.pub", &pairs("ES256")[0].1);
    let file = volume.name("other.pub");
    let secret = RefCell::new(Volume::of(Way::Rename, "key", SECRET));
    let keys = format!(
        "[[keys]]\nsecret_file = \"{}\"\n\n\
         [[keys]]\nid = \"theirs\"\nalgorithm = \"ES256\"\npublic_key_file = \"{file}\"",
        secret.borrow().name("key")
    );
    let good = pairs("ES256").remove(0).1;
    let volume = RefCell::new(&mut volume);
    stays_in_force(
        &keys,
        &mut [
            ("rubbish", &mut || volume.borrow_mut().put(&[("other.pub", "rubbish")]), "theirs"),
            // The first key also changes, but is not applied before the second is valid.
            ("waiting", &mut || secret.borrow_mut().put(&[("key", SECRETS[1])]), "theirs"),
        ],
        &mut || volume.borrow_mut().put(&[("other.pub", &good)]),
    );
}

#[test]
fn key_file_that_comes_later_than_the_configuration_that_names_it() {
    Way::each(|way| {
        let backend = Backend::plain();
        let mut config = Volume::of(Way::Rename, FILE, &Sidecar::before(&backend).text());
        let mut volume = Volume::of(way, "other", "");
        let sidecar = Sidecar::before(&backend).file(config.path(FILE)).start();
        let keys = format!("[[keys]]\nsecret_file = \"{}\"", volume.name("key"));
        config.put(&[(FILE, &Sidecar::before(&backend).keys(&keys).text())]);
        sidecar.counts(FAILURE, 1.0);
        assert_eq!(dict_of(&sidecar, &backend, &mint(DICT)), DICT, "{way:?}");
        volume.put(&[("key", SECRETS[1])]);
        sidecar.counts(SUCCESS, 1.0);
        assert_eq!(dict_of(&sidecar, &backend, &minted(SECRETS[1])), DICT, "{way:?}");
    });
}

#[test]
fn configuration_and_key_in_one_swap() {
    let backend = Backend::plain();
    let mut volume = Volume::new(Way::Data);
    let text = |volume: &Volume, key: &str| {
        let keys = format!("[[keys]]\nsecret_file = \"{}\"", volume.name(key));
        Sidecar::before(&backend).keys(&keys).text()
    };
    let first = text(&volume, "first");
    volume.put(&[(FILE, &first), ("first", SECRET)]);
    let sidecar = Sidecar::before(&backend).file(volume.path(FILE)).start();
    let second = text(&volume, "second");
    volume.put(&[(FILE, &second), ("second", SECRETS[1])]);
    sidecar.counts(SUCCESS, 1.0);
    assert_eq!(dict_of(&sidecar, &backend, &minted(SECRETS[1])), DICT);
    assert_eq!(dict_of(&sidecar, &backend, &mint(DICT)), "{}");
}
