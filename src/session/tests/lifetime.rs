use super::*;

#[test]
fn a_ttl_bounds_the_token_and_hides_its_claims() {
    let policy = Policy { ttl: Some(Duration::from_secs(3600)), ..policy() };
    let first = issued(&nobody(), save("{\"n\":1}"), &policy, NOW);
    let now = NOW.as_secs();
    let cr = format!(r#"{{"id":"{}","start":{now},"ms":{now}000}}"#, id(1).as_str());
    assert_eq!(
        payload_of(&first),
        format!(r#"{{"n":1,"iat":{now},"exp":{},"cr":{cr}}}"#, now + 3600)
    );
    assert!(first.set_cookie.contains("; Max-Age=3600; Expires="), "{}", first.set_cookie);
    let later = NOW.plus(Duration::from_secs(3599));
    let opened = open_cookie(&policy, &token_of(&first), later);
    assert_eq!(opened.token().unwrap().dict().as_str(), "{\"n\":1}");
    // A save continues the session: same id, new lifetime.
    let second = issued(&opened, save("{\"n\":2}"), &policy, later);
    assert!(payload_of(&second).contains(&format!(r#""start":{now},"ms":{}"#, later.as_millis())));
    let end = NOW.plus(Duration::from_secs(3600));
    let outcome = open_cookie(&policy, &token_of(&first), end).outcome();
    assert_eq!(outcome, Outcome::Rejected(Rejection::Expired));
}

#[test]
fn nothing_extends_a_session_past_its_absolute_end() {
    let second = Duration::from_secs(1);
    let policy = Policy { ttl: Some(second * 100), absolute_ttl: Some(second * 150), ..policy() };
    let first = issued(&nobody(), save("{\"n\":1}"), &policy, NOW);
    let later = NOW.plus(second * 90);
    let opened = open_cookie(&policy, &token_of(&first), later);
    let again = issued(&opened, save("{\"n\":2}"), &policy, later);
    assert!(again.set_cookie.contains("; Max-Age=60; Expires="), "{}", again.set_cookie);
    let over = open_cookie(&policy, &token_of(&again), NOW.plus(second * 150));
    assert_eq!(over.outcome(), Outcome::Rejected(Rejection::Expired));
    // A shorter absolute_ttl also applies to tokens issued before it was set.
    let shorter = Policy { absolute_ttl: Some(second * 50), ..policy };
    assert_eq!(
        open_cookie(&shorter, &token_of(&first), NOW.plus(second * 50)).outcome().label(),
        "expired"
    );
}

#[test]
fn remember_me_is_the_sessions_own_lifetime_and_stays_with_it() {
    let day = 86_400;
    for policy in [policy(), Policy { ttl: Some(Duration::from_secs(3600)), ..policy() }] {
        let login = issued(&nobody(), save_for("{\"n\":1}", Some(30 * day)), &policy, NOW);
        assert!(
            login.set_cookie.contains(&format!("; Max-Age={}; Expires=", 30 * day)),
            "{}",
            login.set_cookie
        );
        let later = NOW.plus(Duration::from_secs(29 * day));
        let opened = open_cookie(&policy, &token_of(&login), later);
        assert_eq!(opened.token().unwrap().dict().as_str(), "{\"n\":1}");
        let count = issued(&opened, save("{\"n\":2}"), &policy, later);
        assert!(
            count.set_cookie.contains(&format!("; Max-Age={}; Expires=", 30 * day)),
            "{}",
            count.set_cookie
        );
    }
}

#[test]
fn an_empty_dict_ends_a_login_and_nothing_of_it_passes_to_the_next() {
    let policy = Policy { ttl: Some(Duration::from_secs(3600)), ..policy() };
    let first = issued(&nobody(), save_for("{\"user\":1}", Some(34_560_000)), &policy, NOW);
    let opened = open_cookie(&policy, &token_of(&first), NOW);
    let patch = Dict::parse(br#"{"user":null}"#).unwrap();
    let merge =
        Directive::Save(Save { dict: None, patch: Some(patch), max_age: None, ..Save::default() });
    for directive in [save("{}"), merge] {
        let ended = issued(&opened, directive, &policy, NOW);
        assert!(ended.set_cookie.contains("; Max-Age=3600"), "{}", ended.set_cookie);
        let opened = open_cookie(&policy, &token_of(&ended), NOW);
        let next = issued(&opened, save("{\"user\":2}"), &policy, NOW);
        assert!(next.set_cookie.contains("; Max-Age=3600"), "{}", next.set_cookie);
        assert_eq!(opened.token().unwrap().managed().unwrap().own_max_age, None);
    }
    // A lifetime sent with the empty dict belongs to the next session.
    let asked = issued(&opened, save_for("{}", Some(60)), &policy, NOW);
    assert!(asked.set_cookie.contains("; Max-Age=60"), "{}", asked.set_cookie);
}

#[test]
fn members_of_cr_that_a_later_version_writes_are_ignored() {
    let policy = Policy { absolute_ttl: Some(Duration::from_secs(50)), ..policy() };
    let cr = r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","new":{"x":[1]},"start":1000,"ms":1000000}"#;
    let managed = lifetime::Managed::parse(cr).unwrap();
    assert_eq!(
        (managed.start, managed.issued),
        (Timestamp::from_secs(1000), Timestamp::from_secs(1000))
    );
    let payload = format!(r#"{{"n":1,"iat":1000,"exp":99999999999,"cr":{cr}}}"#);
    for (now, outcome) in [(1049, "valid"), (1050, "expired")] {
        let token = token(&payload);
        let opened = open_cookie(&policy, &token, Timestamp::from_secs(now));
        assert_eq!(opened.outcome().label(), outcome);
        assert!(opened.token().is_none_or(|token| token.dict().as_str() == "{\"n\":1}"));
    }
}

#[test]
fn a_max_age_of_zero_ends_with_the_browser_and_the_token_with_the_ttl() {
    let managed = Policy { ttl: Some(Duration::from_secs(3600)), ..policy() };
    let now = NOW.as_secs();
    for (policy, exp) in
        [(managed, now + 3600), (policy(), now + super::super::lifetime::LONGEST.as_secs())]
    {
        let issued = issued(&nobody(), save_for("{}", Some(0)), &policy, NOW);
        assert!(!issued.set_cookie.contains("Max-Age"), "{}", issued.set_cookie);
        assert!(payload_of(&issued).contains(&format!("\"exp\":{exp}")), "{}", payload_of(&issued));
    }
}

#[test]
fn a_token_that_is_old_enough_or_not_ours_is_due_for_a_refresh() {
    let second = Duration::from_secs(1);
    let policy = Policy { ttl: Some(second * 100), refresh_after: Some(second * 10), ..policy() };
    let first = token_of(&issued(&nobody(), save("{\"n\":1}"), &policy, NOW));
    let at = |seconds: u32| NOW.plus(second * seconds);
    assert!(!open_cookie(&policy, &first, at(9)).is_due(&policy, at(9)));
    let opened = open_cookie(&policy, &first, at(10));
    assert!(opened.is_due(&policy, at(10)));
    let CookieAction::Issue(fresh) =
        refresh(&opened, Issuer::new(&ring(), &policy, at(10)), || id(2)).unwrap()
    else {
        panic!()
    };
    assert_eq!((fresh.kind, fresh.session.clone()), (IssueKind::Refreshed, Some(id(1))));
    let again = open_cookie(&policy, &token_of(&fresh), at(109));
    assert_eq!(again.token().unwrap().dict().as_str(), "{\"n\":1}");
    // A token of microdot: its own expiry is no longer part of the dict.
    let foreign = token(&format!("{{\"n\":1,\"exp\":{}}}", NOW.as_secs() + 5));
    let opened = open_cookie(&policy, &foreign, NOW);
    assert!(opened.is_due(&policy, NOW));
    assert_eq!(opened.token().unwrap().dict().as_str(), "{\"n\":1}");
    let CookieAction::Issue(fresh) =
        refresh(&opened, Issuer::new(&ring(), &policy, NOW), || id(2)).unwrap()
    else {
        panic!()
    };
    assert!(payload_of(&fresh).contains(&format!("\"exp\":{}", NOW.as_secs() + 100)));
}
