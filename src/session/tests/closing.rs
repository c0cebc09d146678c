use super::*;
use crate::session::directive::{self, Control, Field};
use crate::session::header::Encoding;
use proptest::prelude::*;

#[test]
fn without_a_lifetime_a_token_is_the_dict_and_nothing_else() {
    let issued = issued(&nobody(), save("{\"n\": 1}"), &policy(), NOW);
    assert_eq!(payload_of(&issued), "{\"n\":1}");
    assert_eq!(issued.session, None);
    assert!(
        issued.set_cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{}",
        issued.set_cookie
    );
    assert_eq!(issued.cookie_bytes, "session=".len() + token_of(&issued).len());
}

#[test]
fn a_merge_alone_changes_the_dict_that_came_and_beside_a_save_the_saved_one() {
    let policy = policy();
    let opened = open_cookie(&policy, &token(r#"{"a":1,"b":2}"#), NOW);
    let patch = || Some(Dict::parse(br#"{"b":null,"c":3}"#).unwrap());
    let merge =
        Directive::Save(Save { dict: None, patch: patch(), max_age: None, ..Save::default() });
    let merged = issued(&opened, merge.clone(), &policy, NOW);
    assert_eq!(
        (payload_of(&merged).as_str(), merged.kind),
        (r#"{"a":1,"c":3}"#, IssueKind::Merged)
    );
    let dict = Some(Dict::parse(br#"{"b":5,"d":4}"#).unwrap());
    let both = issued(
        &opened,
        Directive::Save(Save { dict, patch: patch(), max_age: None, ..Save::default() }),
        &policy,
        NOW,
    );
    assert_eq!((payload_of(&both).as_str(), both.kind), (r#"{"d":4,"c":3}"#, IssueKind::Saved));
    assert_eq!(payload_of(&issued(&nobody(), merge, &policy, NOW)), r#"{"c":3}"#);
}

#[test]
fn a_save_that_would_not_come_back_is_refused() {
    let now = NOW.as_secs();
    let managed = Policy { ttl: Some(Duration::from_secs(60)), ..policy() };
    for (policy, dict) in [
        (policy(), format!("{{\"exp\":{now}}}")),
        (policy(), "{\"exp\":\"soon\"}".into()),
        (policy(), "{\"exp\":null}".into()),
        (policy(), format!("{{\"nbf\":{}}}", now + 5)),
        (policy(), "{\"nbf\":[]}".into()),
        (policy(), "{\"aud\":\"x\"}".into()),
        (managed.clone(), format!("{{\"exp\":{}}}", now + 5)),
        (managed.clone(), "{\"iat\":1}".into()),
        (managed.clone(), "{\"cr\":1}".into()),
        (managed.clone(), "{\"\\u0063r\":1}".into()),
        (managed, format!("{{\"nbf\":{}}}", now + 5)),
        (Policy { require_exp: true, ..policy() }, "{}".into()),
        (policy(), format!("{{\"x\":\"{}\"}}", "x".repeat(3100))),
        (
            policy(),
            format!(
                "{{\"iat\":1,\"exp\":{},\"cr\":{{\"id\":\"{}\",\"start\":1,\"ms\":1}}}}",
                now + 5,
                id(1).as_str()
            ),
        ),
    ] {
        let result = close(&nobody(), save(&dict), Issuer::new(&ring(), &policy, NOW), || id(1));
        let broken = result.expect_err(&dict);
        assert!(!broken.reason.to_string().contains("xxx"), "{}", broken.reason);
    }
    // The app's own claims, if no lifetime is managed.
    let dict = format!("{{\"exp\":{},\"iat\":1,\"cr\":{{}},\"iss\":\"x\"}}", now + 5);
    let issued = issued(&nobody(), save(&dict), &policy(), NOW);
    assert_eq!(open_with(&policy(), &token_of(&issued)), Ok(dict));
}

/// NOW is a whole second; PyJWT compares whole seconds with a clock that has fractions.
#[test]
fn without_a_lifetime_what_pyjwt_would_not_accept_is_not_saved() {
    let now = NOW.as_secs();
    let half = NOW.plus(Duration::from_millis(500));
    let managed = Policy { ttl: Some(Duration::from_secs(60)), ..policy() };
    let lenient = Policy { leeway: Duration::from_secs(5), ..policy() };
    let close_with = |dict: &str, policy: &Policy| {
        close(&nobody(), save(dict), Issuer::new(&ring(), policy, half), || id(1)).map(|_| ())
    };
    for (dict, reason) in [
        (r#"{"sub":7}"#.to_owned(), "sub is not a string"),
        (r#"{"sub":null}"#.into(), "sub is not a string"),
        (r#"{"s\u0075b":["a"]}"#.into(), "sub is not a string"),
        (r#"{"jti":{}}"#.into(), "jti is not a string"),
        (r#"{"iat":"today"}"#.into(), "iat is not a finite number"),
        (r#"{"iat":null}"#.into(), "iat is not a finite number"),
        (r#"{"iat":1e400}"#.into(), "iat is not a finite number"),
        (format!(r#"{{"iat":{}}}"#, now + 1), "iat is in the future"),
        (format!(r#"{{"exp":{now}.9}}"#), "exp is in the past"),
    ] {
        let broken = close_with(&dict, &policy()).expect_err(&dict);
        let told = broken.reason.to_string();
        assert!(told.ends_with(&format!("not accept the token: {reason}")), "{told}");
    }
    for (dict, policy) in [
        (r#"{"sub":"7","jti":"","iss":7}"#.to_owned(), policy()),
        (format!(r#"{{"iat":{now}.9,"exp":{}}}"#, now + 1), policy()),
        (format!(r#"{{"iat":{}}}"#, now + 5), lenient),
        (r#"{"sub":7,"jti":7}"#.into(), managed),
    ] {
        assert_eq!(close_with(&dict, &policy), Ok(()), "{dict}");
    }
}

#[test]
fn the_cookie_may_be_4096_bytes_long_and_no_longer() {
    let policy = policy();
    let save_of = |length: usize| {
        let dict = save(&format!("{{\"x\":\"{}\"}}", "x".repeat(length)));
        close(&nobody(), dict, Issuer::new(&ring(), &policy, NOW), || id(1))
    };
    let mut longest = 0;
    for length in 2900..3100 {
        match save_of(length) {
            Ok(CookieAction::Issue(issued)) => {
                longest = issued.cookie_bytes;
                assert!(open_with(&policy, &token_of(&issued)).is_ok());
            }
            Ok(other) => panic!("{other:?}"),
            Err(broken) => assert!(broken.bytes > 4096, "{}", broken.bytes),
        }
    }
    assert!((4095..=4096).contains(&longest), "{longest}");
}

#[test]
fn a_delete_expires_the_cookie_with_or_without_a_session() {
    for opened in [nobody(), open_cookie(&policy(), &token("{}"), NOW)] {
        let delete = Directive::Delete { all: false, beside_a_save: false };
        let action =
            close(&opened, delete, Issuer::new(&ring(), &policy(), NOW), || id(1)).unwrap();
        let CookieAction::Expire { set_cookie, session } = action else { panic!("{action:?}") };
        assert_eq!(set_cookie, policy().cookie.expire(Transport::Clear));
        assert_eq!(session.is_some(), opened.token().is_some());
    }
}

#[test]
fn control_headers_are_read_as_the_contract_says() {
    fn one(value: &[u8]) -> Field<'_> {
        let mut field = Field::default();
        field.add(value);
        field
    }
    let delete = |values: &[&str]| {
        let mut control = Control { save: one(b"[broken"), ..Control::default() };
        values.iter().for_each(|value| control.delete.add(value.as_bytes()));
        directive::read(&control, Encoding::Json)
    };
    for yes in ["1", "true", "yes", "on", "2", "-", "nope"] {
        assert_eq!(delete(&[yes]), Directive::Delete { all: false, beside_a_save: true }, "{yes}");
    }
    for no in ["", " ", "0", "false", "No", "OFF"] {
        assert!(matches!(delete(&[no]), Directive::Broken(_)), "{no}");
        let mut control = Control::default();
        control.delete.add(no.as_bytes());
        assert_eq!(directive::read(&control, Encoding::Json), Directive::Keep, "{no}");
    }
    assert_eq!(delete(&["1", "true"]), Directive::Delete { all: false, beside_a_save: true });
    assert!(matches!(delete(&["1", "0"]), Directive::Broken(_)));

    let read = |save: &[&str], max_age: Option<&str>| {
        let mut control = Control::default();
        save.iter().for_each(|value| control.save.add(value.as_bytes()));
        max_age.into_iter().for_each(|value| control.max_age.add(value.as_bytes()));
        match directive::read(&control, Encoding::Json) {
            Directive::Save(save) => Ok(save.max_age),
            other => Err(format!("{other:?}")),
        }
    };
    assert_eq!(read(&["{}", " {} "], None), Ok(None));
    assert!(read(&["{}", "{\"a\":1}"], None).is_err());
    assert!(read(&[""], None).is_err());
    assert_eq!(read(&["{}"], Some("0")), Ok(Some(0)));
    assert_eq!(read(&["{}"], Some("007")), Ok(Some(7)));
    assert_eq!(read(&["{}"], Some("99999999999999999999999")), Ok(Some(34_560_000)));
    for bad in ["", "-1", "+1", "1.0", "1e3", "x", "1 2"] {
        assert!(read(&["{}"], Some(bad)).is_err(), "{bad}");
    }
    assert_eq!(read(&[], Some("x")), Err("Keep".into()));

    for (value, ok) in
        [("e30", true), ("e30=", false), ("e30==", false), ("{}", false), ("eyJhIjoxfQ==", false)]
    {
        let control = Control { save: one(value.as_bytes()), ..Control::default() };
        let read = directive::read(&control, Encoding::Base64Url);
        assert_eq!(matches!(read, Directive::Save(_)), ok, "{value}");
    }
}

proptest! {
    #[test]
    fn what_is_saved_comes_back(n in any::<u64>(), text in ".{0,40}", managed in any::<bool>()) {
        let policy = Policy { ttl: managed.then_some(Duration::from_secs(60)), ..policy() };
        let dict = serde_json::json!({ "text": text, "n": n, "nested": { "exp": [null] } }).to_string();
        let token = token_of(&issued(&nobody(), save(&dict), &policy, NOW));
        prop_assert_eq!(open_with(&policy, &token), Ok(dict));
    }
}
