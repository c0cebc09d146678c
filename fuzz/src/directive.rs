//! Control headers: two bytes of flags, then one field per line, whose first letter selects its
//! name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::session::cookie::{Transport, find};
use cloakroom::session::dict::Dict;
use cloakroom::session::directive::{Control, Directive, Save, read};
use cloakroom::session::header::Encoding;
use cloakroom::session::lifetime::{LONGEST, SessionId};
use cloakroom::session::{self, CookieAction, IssueKind, Issued, Issuer, Opened, Policy};
use serde_json::{Map, Value};

use crate::json;
use crate::keys::RING;
use crate::policy::{NOW, policy};

/// The fields of an answer by name, trimmed.
#[derive(Default)]
struct Fields<'a> {
    save: Vec<&'a [u8]>,
    merge: Vec<&'a [u8]>,
    max_age: Vec<&'a [u8]>,
    delete: Vec<&'a [u8]>,
    renew: Vec<&'a [u8]>,
}

/// A valid directive is carried out and comes back; an invalid one gives the reason, without the
/// data.
pub fn directive(data: &[u8]) {
    let [flags, bits, text @ ..] = data else { return };
    let encoding = if flags & 1 == 0 { Encoding::Json } else { Encoding::Base64Url };
    let mut policy = policy(*bits);
    policy.subject = (flags & 4 != 0).then(|| vec!["s".into()]);
    let mut control = Control::default();
    let mut fields = Fields::default();
    for line in text.split(|&byte| byte == b'\n').take(16) {
        let Some((letter, value)) = line.split_first() else { continue };
        let list = match letter {
            b's' => {
                control.save.add(value);
                &mut fields.save
            }
            b'm' => {
                control.merge.add(value);
                &mut fields.merge
            }
            b'a' => {
                control.max_age.add(value);
                &mut fields.max_age
            }
            b'd' => {
                control.delete.add(value);
                &mut fields.delete
            }
            b'r' => {
                control.renew.add(value);
                &mut fields.renew
            }
            _ => continue,
        };
        list.push(value.trim_ascii());
    }

    let directive = read(&control, encoding);
    check_read(&directive, &fields, encoding);

    // A request with a session or without one.
    let opened = if flags & 2 == 0 { nobody(&policy) } else { somebody(&policy) };
    let before = opened.token().map(|token| token.dict().as_str().to_owned());
    let known_as = opened.token().and_then(|token| token.managed().map(|_| token.id().clone()));
    let wanted = directive.clone();
    let fresh_id = || SessionId::from_bytes([7; 16]);
    let action = session::close(&opened, directive, Issuer::new(&RING, &policy, NOW), fresh_id);
    match (wanted, action) {
        // Without a store, other sessions are unknown.
        (Directive::Keep | Directive::EndOthers, Ok(CookieAction::Keep)) => {}
        // There is no session to renew.
        (Directive::Save(Save { dict: None, patch: None, .. }), Ok(CookieAction::Keep)) => {
            assert_eq!(before, None);
        }
        (Directive::Delete { .. }, Ok(CookieAction::Expire { set_cookie, session })) => {
            assert_eq!(set_cookie, policy.cookie.expire(Transport::Clear));
            assert_eq!(session.is_some(), before.is_some());
        }
        (Directive::Save(save), Ok(CookieAction::Issue(issued))) => {
            let kind = match (&save.dict, &save.patch) {
                (Some(_), _) => IssueKind::Saved,
                (None, Some(_)) => IssueKind::Merged,
                (None, None) => IssueKind::Renewed,
            };
            assert_eq!(issued.kind, kind);
            let dict = reopened(&issued, &policy);
            if let (Some(before), Some(after)) = (known_as, &issued.session) {
                let goes_on = before == *after;
                assert_eq!(issued.renewed, !goes_on);
                assert!(!goes_on || !save.renew, "asked for another id");
            }
            json::sound(&dict);
            check_dict(&dict, &save, before.as_deref().unwrap_or("{}"));
        }
        (Directive::Save(_) | Directive::Broken(_), Err(broken)) => {
            // Only the names of the sidecar's own keys may appear; nothing else comes from the
            // header.
            let told = broken.reason.to_string();
            assert!(told.len() < 150, "{told}");
            assert!(!told.contains(char::is_control), "{told}");
        }
        (wanted, action) => panic!("{wanted:?} became {action:?}"),
    }
}

/// What the fields ask for, according to the documentation.
fn check_read(directive: &Directive, fields: &Fields<'_>, encoding: Encoding) {
    let is_no = |value: &&[u8]| {
        ["", "0", "false", "no", "off"].iter().any(|no| value.eq_ignore_ascii_case(no.as_bytes()))
    };
    let mut deletes: Vec<&str> = fields
        .delete
        .iter()
        .map(|value| match value.to_ascii_lowercase() {
            _ if is_no(value) => "none",
            word if word == b"all" => "all",
            word if word == b"others" => "others",
            _ => "this",
        })
        .collect();
    deletes.sort_unstable();
    deletes.dedup();
    let others = deletes == ["others"];
    let ends = deletes == ["this"] || deletes == ["all"];
    let renews = !fields.renew.iter().all(is_no);
    let saves = !fields.save.is_empty() || !fields.merge.is_empty();
    let differ = |values: &[&[u8]]| values.windows(2).any(|pair| pair[0] != pair[1]);
    let mut broken = false;
    for values in [&fields.save, &fields.merge] {
        let Some(value) = values.first() else { continue };
        let json = match encoding {
            Encoding::Json => Some(value.to_vec()),
            Encoding::Base64Url => URL_SAFE_NO_PAD.decode(value).ok(),
        };
        let dict = json.map(|json| {
            let dict = Dict::parse(&json);
            json::checked(&json, &dict);
            dict
        });
        broken |= differ(values) || !matches!(dict, Some(Ok(_)));
    }
    let is_number = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    broken |= differ(&fields.max_age) || !fields.max_age.iter().all(is_number);
    broken |= renews && fields.renew.iter().any(is_no);

    let writes = saves || renews;
    match directive {
        Directive::Delete { all, beside_a_save } => {
            assert!(ends && *beside_a_save == saves, "a delete");
            assert_eq!(*all, deletes == ["all"]);
        }
        Directive::Keep => assert!(!writes && !others && !ends, "nothing asked for"),
        Directive::EndOthers => assert!(!writes && others, "the end of others"),
        Directive::Save(save) => {
            assert!(writes && !ends && deletes.len() < 2 && !broken, "a save");
            assert_eq!((save.renew, save.others), (renews, others));
            assert_eq!(save.dict.is_some(), !fields.save.is_empty());
            assert_eq!(save.patch.is_some(), !fields.merge.is_empty());
            let max_age = fields.max_age.first().map(|digits| {
                let digits = str::from_utf8(digits).expect("digits").trim_start_matches('0');
                let short = digits.len() < 12;
                if short { digits.parse().unwrap_or(0) } else { u64::MAX }.min(LONGEST.as_secs())
            });
            assert_eq!(save.max_age, max_age);
        }
        Directive::Broken(_) if ends => panic!("a delete comes first"),
        Directive::Broken(_) => {
            assert!(deletes.len() > 1 || (writes && broken), "nothing is broken");
        }
    }
}

/// RFC 7396, implemented literally on values.
fn patched(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let old = target.remove(name).unwrap_or_default();
            target.insert(name.clone(), patched(old, value));
        }
    }
    Value::Object(target)
}

fn check_dict(dict: &Dict, save: &Save, before: &str) {
    let saved = save.dict.as_ref().map_or(before, Dict::as_str);
    let Some(patch) = &save.patch else {
        assert_eq!(dict.as_str(), saved, "as it was written");
        return;
    };
    // If serde_json cannot read one of the texts, there is no comparison.
    let value = |text: &str| serde_json::from_str::<Value>(text);
    if let (Ok(target), Ok(patch), Ok(dict)) =
        (value(saved), value(patch.as_str()), value(dict.as_str()))
    {
        assert_eq!(dict, patched(target, &patch), "merged");
    }
}

/// The dict in the client's next request.
fn reopened(issued: &Issued, policy: &Policy) -> Dict {
    let set_cookie = &issued.set_cookie;
    assert!(set_cookie.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{set_cookie}");
    let cookie = set_cookie.split(';').next().unwrap_or_default();
    assert_eq!(cookie.len(), issued.cookie_bytes);
    assert!(cookie.len() <= policy.max_cookie_bytes, "too long");
    let opened = open(cookie, policy);
    let token = opened.token().expect("what is issued now verifies now");
    token.dict().clone()
}

fn open(cookie: &str, policy: &Policy) -> Opened {
    let field = format!("a=1; {cookie}; b=\"2");
    let found = find(|| std::iter::once(field.as_bytes()), policy.names(), false);
    session::open(&found, &RING, policy, NOW)
}

fn nobody(policy: &Policy) -> Opened {
    open("c", policy)
}

fn somebody(policy: &Policy) -> Opened {
    let dict = Dict::parse(br#"{"a":{"b":1,"c":[2]},"n":1.10,"s":"x"}"#).expect("a dict");
    // Without a lifetime, a token of this policy has none to require.
    let policy = &Policy { require_exp: false, ..policy.clone() };
    let fresh_id = || SessionId::from_bytes([3; 16]);
    let token = session::encode(&dict, Issuer::new(&RING, policy, NOW), fresh_id).expect("a token");
    let opened = open(&format!("session={token}"), policy);
    assert!(opened.token().is_some());
    opened
}
