//! `cloakroom key rotate --leaked`: removes a leaked key with its sessions in one step.

use super::*;

/// Whatever its name, and with every copy of the same secret.
#[test]
fn a_leaked_key_that_seals_goes_with_its_copies() {
    let backend = Backend::plain();
    let secret = "0123456789abcdef0123456789abcdef";
    let key = |id: &str, secret: &str| {
        format!("[[keys]]\nid = \"{id}\"\nalgorithm = \"A256GCM\"\nsecret = \"{secret}\"\n")
    };
    let other = secret.replace('0', "1");
    let keys = [key("a", secret), key("b", &other), key("c", secret)].concat();
    let house = House::new(backend.url(), &keys, "");
    house.done(&["rotate", "--leaked", "--id", "new", "--dir", "."]);
    assert_eq!(house.ids(), ["new", "b"]);
}

/// One change of the file: the new key never signs while the old one still verifies.
#[test]
fn leaked_key_goes_with_every_session_at_once() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let tables = "[session]\nttl = \"14d\" # rolling\n";
    let house = House::new(backend.url(), FILE, tables);
    let running = Running::start(&house);
    let forged = mint(DICT);
    let signed = SetCookie::token(&running.get(&forged));
    let text = house.text();

    let said = house.done(&["rotate", "--leaked", "--id", "new"]);
    for part in ["key 1 is removed", "session_key still exists", "share key 1"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(house.ids(), ["new"]);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<String>>();
    let (now, then) = (lines(&house.text()), lines(&text));
    let gone: Vec<_> = then.iter().filter(|line| !now.contains(line)).collect();
    assert_eq!(gone, ["secret_file = \"session_key\""]);
    let new: Vec<_> = now.iter().filter(|line| !then.contains(line)).collect();
    assert_eq!(
        new[..3],
        ["id = \"new\"", "algorithm = \"HS256\"", "secret_file = \"session_key-new\"",]
    );
    // To the millisecond: sessions issued in the same second are revoked too.
    assert!(new[3].starts_with("not_before = \"20") && new[3].contains('.'), "{new:?}");
    assert_eq!(new.len(), 4, "{new:?}");

    assert_eq!(running.reloaded(0), "new");
    for token in [&forged, &signed] {
        running.get(token);
        assert_eq!(backend.last().values("X-Session"), ["{}"]);
    }
    let fresh = SetCookie::token(&running.get(&forged));
    running.get(&fresh);
    assert_eq!(backend.last().values("X-Session"), [DICT], "who logs in afterwards is in");
}

#[test]
fn leaked_key_goes_under_each_of_its_names_and_others_stay() {
    let other = "0".repeat(32);
    let keys = format!(
        "{FILE}\n[[keys]]\nid = \"again\"\nsecret = \"{SECRET}\"\n\n\
         [[keys]]\nid = \"other\"\nsecret = \"{other}\"\n\n\
         [[keys]]\nid = \"longer\"\nalgorithm = \"HS512\"\nsecret_file = \"session_key\"\n\
         allow_weak_secret = true\n"
    );
    let house = House::new("http://127.0.0.1:1", &keys, "");
    let said = house.done(&["rotate", "--leaked", "--id", "new"]);
    assert!(said.contains("key 1 and again and longer is removed"), "{said}");
    assert_eq!(house.ids(), ["new", "other"]);
}

#[test]
fn a_later_not_before_is_not_moved_back() {
    for (set, stays) in [("2999-01-01T00:00:00Z", true), ("2020-01-01T00:00:00Z", false)] {
        let line = format!("not_before = \"{set}\"");
        let house = House::new("http://127.0.0.1:1", FILE, &format!("[session]\n{line} # mine\n"));
        house.done(&["rotate", "--leaked", "--id", "new"]);
        assert_eq!(house.text().contains(&format!("{line} # mine")), stays, "{}", house.text());
        assert_eq!(house.text().matches("not_before").count(), 1);
        assert!(house.text().contains("Z\" # mine"));
    }
}

#[test]
fn what_cannot_be_edited_for_a_leaked_key_changes_nothing() {
    let house = House::new("http://127.0.0.1:1", FILE, "");
    let text = house
        .text()
        .replace("[[keys]]\n", "keys = [{")
        .replace("\"session_key\"\n", "\"session_key\" }]\n");
    fs::write(house.path("cloakroom.toml"), text).unwrap();
    house.refused(&["rotate", "--leaked"]);
}
