//! Requests and their answers.

use super::*;

struct Shop(App);

impl Shop {
    fn new() -> Self {
        Self(App::default())
    }

    fn get(&self, path: &str, session: &str) -> Response<Vec<u8>> {
        self.ask("GET", path, session, "")
    }

    fn post(&self, path: &str, session: &str, form: &str) -> Response<Vec<u8>> {
        self.ask("POST", path, session, form)
    }

    fn ask(&self, method: &str, path: &str, session: &str, form: &str) -> Response<Vec<u8>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:8080")
            .header("x-session", session)
            .body(form.as_bytes().to_vec());
        match request {
            Ok(request) => self.0.answer(&request),
            Err(error) => unreachable!("{error}"),
        }
    }
}

fn header<'a>(response: &'a Response<Vec<u8>>, name: &str) -> Option<&'a str> {
    let value = response.headers().get(name)?;
    std::str::from_utf8(value.as_bytes()).ok()
}

fn json_of(response: &Response<Vec<u8>>, name: &str) -> Value {
    let value = header(response, name).and_then(|value| serde_json::from_str(value).ok());
    value.unwrap_or_default()
}

fn text(response: &Response<Vec<u8>>) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}

const PAGES: [&str; 6] = ["/", "/login", "/counter", "/basket", "/inside", "/goodbye"];

#[test]
fn pages_load_nothing_from_elsewhere_and_run_nothing() {
    let shop = Shop::new();
    for path in PAGES {
        let answer = shop.get(path, "{}");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&answer, "content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        let policy = "default-src 'none'; style-src 'self'; form-action 'self'";
        assert_eq!(header(&answer, "content-security-policy"), Some(policy));
        let page = text(&answer);
        for foreign in ["<script", " src=", " style=", "url(", "http-equiv", " onclick="] {
            assert!(!page.contains(foreign), "{path} has {foreign}");
        }
        assert!(page.starts_with("<!doctype html>"));
    }
    let css = shop.get("/style.css", "{}");
    assert_eq!(header(&css, "content-type"), Some("text/css; charset=utf-8"));
    assert!(!text(&css).contains("url(") && !text(&css).contains("@import"));
}

#[test]
fn reading_changes_no_session_and_knows_no_cookie() {
    let shop = Shop::new();
    for path in PAGES.iter().chain(&["/style.css", "/received.txt", "/no/such/page"]) {
        let answer = shop.get(path, r#"{"name":"Ada","count":3}"#);
        for (name, _) in answer.headers() {
            assert!(!name.as_str().starts_with("x-session"), "{path} sends {name}");
            assert_ne!(name, "set-cookie", "{path}");
        }
    }
}

#[test]
fn a_log_in_saves_the_name_and_goes_home() {
    let answer = Shop::new().post("/login", "{}", "name=+Ada+Lovelace+");
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&answer, "location"), Some("/"));
    assert_eq!(json_of(&answer, "x-session-save")["name"], "Ada Lovelace");
    assert_eq!(json_of(&answer, "x-session-save")["remember"], Value::Null);
    assert_eq!(header(&answer, "x-session-max-age"), Some("0"));
}

#[test]
fn remember_me_is_a_max_age() {
    let answer = Shop::new().post("/login", "{}", "name=Ada&remember=1");
    assert_eq!(header(&answer, "x-session-max-age"), Some("2592000"));
    assert_eq!(json_of(&answer, "x-session-save")["remember"], true);
}

#[test]
fn a_log_in_keeps_what_was_there_before() {
    let before = r#"{"basket":{"scarf":2},"count":7,"remember":true}"#;
    let answer = Shop::new().post("/login", before, "name=Ada");
    let dict = json_of(&answer, "x-session-save");
    assert_eq!(dict["basket"], json!({"scarf": 2}));
    assert_eq!(dict["count"], 7);
    assert_eq!(dict.get("remember"), None);
}

#[test]
fn a_name_stays_one_line_and_reaches_the_header_whole() {
    let answer = Shop::new().post("/login", "{}", "name=Zo%C3%AB%0d%0aX-Evil:+1%7f");
    assert_eq!(json_of(&answer, "x-session-save")["name"], "ZoëX-Evil: 1");
    assert_eq!(header(&answer, "x-evil"), None);
}

#[test]
fn a_name_that_will_not_do_is_asked_for_again() {
    let shop = Shop::new();
    let long = format!("name={}", "x".repeat(41));
    for form in ["", "name=", "name=+%00+", long.as_str()] {
        let answer = shop.post("/login", "{}", form);
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert_eq!(header(&answer, "x-session-save"), None, "{form}");
        assert!(text(&answer).contains("role=\"alert\""), "{form}");
    }
}

#[test]
fn whoever_is_logged_in_need_not_log_in() {
    let answer = Shop::new().get("/login", r#"{"name":"Ada"}"#);
    assert_eq!(header(&answer, "location"), Some("/"));
}

#[test]
fn counting_saves_the_whole_dict() {
    let shop = Shop::new();
    let answer = shop.post("/counter", r#"{"count":4,"diary":"d","name":"Ada"}"#, "");
    assert_eq!(header(&answer, "location"), Some("/counter"));
    let dict = json!({"count": 5, "diary": "d", "name": "Ada"});
    assert_eq!(json_of(&answer, "x-session-save"), dict);

    let answer = shop.post("/counter", &dict.to_string(), "do=reset");
    assert_eq!(json_of(&answer, "x-session-save")["count"], 0);

    let answer = shop.post("/counter", r#"{"count":18446744073709551615}"#, "");
    assert_eq!(json_of(&answer, "x-session-save")["count"], u64::MAX);
}

#[test]
fn the_basket_is_changed_by_a_merge_patch() {
    let shop = Shop::new();
    let dict = r#"{"basket":{"bowler":1,"scarf":98},"diary":"d"}"#;
    for (form, patch) in [
        ("article=bowler", json!({"basket": {"bowler": 2}})),
        ("article=umbrella", json!({"basket": {"umbrella": 1}})),
        ("article=scarf", json!({"basket": {"scarf": 99}})),
        ("article=bowler&do=remove", json!({"basket": {"bowler": null}})),
    ] {
        let answer = shop.post("/basket", dict, form);
        assert_eq!(header(&answer, "location"), Some("/basket"), "{form}");
        assert_eq!(json_of(&answer, "x-session-merge"), patch, "{form}");
        assert_eq!(header(&answer, "x-session-save"), None, "{form}");
    }
    let answer = shop.post("/basket", dict, "article=crown");
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(header(&answer, "x-session-merge"), None);

    let full = r#"{"basket":{"scarf":99}}"#;
    let answer = shop.post("/basket", full, "article=scarf");
    assert_eq!(json_of(&answer, "x-session-merge")["basket"]["scarf"], 99);
}

#[test]
fn the_basket_adds_up() {
    let page = text(&Shop::new().get("/basket", r#"{"basket":{"bowler":2,"scarf":1,"crown":9}}"#));
    assert!(page.contains("€ 128") && page.contains("<b>€ 163</b>"), "{page}");
    assert!(page.contains(r#"<b class="badge">3</b>"#), "{page}");
}

#[test]
fn a_log_out_deletes() {
    let shop = Shop::new();
    let answer = shop.post("/logout", r#"{"name":"Ada"}"#, "");
    assert_eq!(header(&answer, "x-session-delete"), Some("1"));
    assert_eq!(header(&answer, "location"), Some("/goodbye"));
    assert!(text(&shop.get("/goodbye", "{}")).contains("X-Session-Delete:</b> 1"));
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let shop = Shop::new();
    for (origin, status) in [
        ("http://127.0.0.1:8080", StatusCode::SEE_OTHER),
        ("https://127.0.0.1:8080", StatusCode::SEE_OTHER),
        ("http://127.0.0.1:8081", StatusCode::FORBIDDEN),
        ("http://evil.test", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
    ] {
        let request = Request::post("/counter")
            .header("host", "127.0.0.1:8080")
            .header("origin", origin)
            .body(Vec::new());
        let answer = request.map(|request| shop.0.answer(&request));
        let answer = answer.unwrap_or_else(|error| unreachable!("{error}"));
        assert_eq!(answer.status(), status, "{origin}");
        let saves = header(&answer, "x-session-save").is_some();
        assert_eq!(saves, status == StatusCode::SEE_OTHER, "{origin}");
    }
}

#[test]
fn the_page_about_it_shows_what_came_in_and_what_went_out() {
    let shop = Shop::new();
    let first = shop.post("/counter", "{}", "");
    let dict = json_of(&first, "x-session-save").to_string();
    let _ = shop.post("/basket", &dict, "article=scarf");

    let page = text(&shop.get("/inside", &dict));
    let merge = "<b>X-Session-Merge:</b> {&quot;basket&quot;:{&quot;scarf&quot;:1}}";
    let save = "<b>X-Session-Save:</b> {&quot;count&quot;:1,";
    let (merge, save) = (page.find(merge), page.find(save));
    assert!(merge.is_some() && save.is_some() && merge < save, "{page}");
    assert!(page.contains("<th>Host</th><td>127.0.0.1:8080</td>"), "{page}");

    let other = text(&shop.get("/inside", r#"{"diary":"another"}"#));
    assert!(other.contains("not done anything yet"), "{other}");
}

#[test]
fn what_comes_from_outside_is_no_markup() {
    let shop = Shop::new();
    let session = r#"{"name":"<b>\"'&","diary":"<i>"}"#;
    for path in PAGES {
        let page = text(&shop.get(path, session));
        assert!(!page.contains("<b>\"") && !page.contains("<i>"), "{path}: {page}");
    }
    let page =
        text(&shop.post("/login", "{}", "name=<script>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");

    let request = Request::builder()
        .uri("/inside")
        .header("host", "$(reboot)")
        .header("x-other", "<script>")
        .body(Vec::new());
    let page = request.map(|request| text(&shop.0.answer(&request)));
    assert!(page.is_ok_and(|page| {
        page.contains("&lt;script&gt;") && page.contains("http://127.0.0.1:8080/received.txt")
    }));
}

#[test]
fn the_plain_text_page_is_plain_text() {
    let answer = Shop::new().get("/received.txt?x=%3Cb%3E", r#"{"n":1}"#);
    assert_eq!(header(&answer, "content-type"), Some("text/plain; charset=utf-8"));
    let expected = "GET /received.txt?x=%3Cb%3E\nHost: 127.0.0.1:8080\nX-Session: {\"n\":1}\n";
    assert_eq!(text(&answer), expected);
}

#[test]
fn what_is_not_there_is_a_404_with_a_way_back() {
    let shop = Shop::new();
    for answer in [shop.get("/nothing", "{}"), shop.post("/nothing", "{}", "")] {
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(text(&answer).contains("href=\"/\""));
    }
}

#[test]
fn head_is_get_without_a_body() {
    let shop = Shop::new();
    let (get, head) = (shop.get("/", "{}"), shop.ask("HEAD", "/", "{}", ""));
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers(), get.headers());
    assert!(head.body().is_empty());
}

#[test]
fn other_methods_are_refused() {
    let answer = Shop::new().ask("DELETE", "/", "{}", "");
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&answer, "allow"), Some("GET, HEAD, POST"));
}

#[test]
fn with_a_store_it_offers_what_no_cookie_could_hold_and_the_end_of_every_session() {
    let shop = Shop(App::new(true));
    let ada = r#"{"name":"Ada","diary":"d"}"#;
    assert!(text(&shop.get("/", ada)).contains("Log out everywhere"));
    let everywhere = shop.post("/logout-everywhere", ada, "");
    assert_eq!(header(&everywhere, "x-session-delete"), Some("all"));
    let greeting = "ü".repeat(6000);
    let answer = shop.post("/greeting", ada, &format!("greeting={greeting}"));
    assert_eq!(json_of(&answer, "x-session-merge"), json!({ "greeting": greeting }));
    let answer = shop.post("/greeting", ada, "greeting=++");
    assert_eq!(json_of(&answer, "x-session-merge"), json!({ "greeting": null }));
    let answer = shop.post("/greeting", ada, &format!("greeting={greeting}."));
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = text(&shop.get("/basket", r#"{"greeting":"<b>"}"#));
    assert!(page.contains("&lt;b&gt;") && page.contains(">3</span> characters"));
}

#[test]
fn without_a_store_it_offers_neither() {
    let shop = Shop::new();
    let ada = r#"{"name":"Ada","diary":"d"}"#;
    assert!(!text(&shop.get("/", ada)).contains("everywhere"));
    assert!(!text(&shop.get("/basket", ada)).contains("greeting"));
    for path in ["/greeting", "/logout-everywhere"] {
        let answer = shop.post(path, ada, "greeting=a");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&answer, "x-session-delete"), None);
    }
}
