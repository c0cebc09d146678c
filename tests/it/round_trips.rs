//! The cost of a request with a store on the network: round trips, counted by a proxy.

use crate::support::engine::{Engine, Proxy, Server};
use crate::support::{Backend, PATIENT, Request, SetCookie, Sidecar, eventually, mint, say};

/// Commands of the sidecar itself, independent of requests.
const OWN: &[&str] =
    &["INFO", "HELLO", "PING", "EXISTS", "XRANGE", "XREAD", "CONFIG", "ROLE", "ACL"];

struct Setting {
    proxy: Proxy,
    sidecar: Sidecar,
    _server: Server,
}

impl Setting {
    fn new(holds: &str) -> Self {
        let server = Server::of(Engine::Redis).start();
        let proxy = Proxy::before(server.port());
        let url = server.url_at(proxy.port());
        let sidecar = Sidecar::before(&Backend::saying())
            .with(&format!("[store]\nurl = {url:?}\nholds = {holds:?}\n{PATIENT}"))
            .with("[session]\nttl = \"1h\"\nsubject = \"user\"\n")
            .with("[[routes]]\npath = \"/static\"\nsession = \"off\"\n")
            .start();
        eventually("a sidecar that is ready", || {
            (sidecar.admin("/readyz").status() == 200).then_some(())
        });
        Self { proxy, sidecar, _server: server }
    }

    /// The number of round trips for this request, and the cookie that was set.
    fn trips(&self, request: &Request) -> (usize, Option<SetCookie>) {
        self.proxy.trips();
        let answer = self.sidecar.connect().exchange(request);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let mut trips = self.proxy.trips();
        trips.retain(|trip| !trip.iter().all(|command| OWN.contains(&command.as_str())));
        (trips.len(), SetCookie::of(&answer))
    }
}

fn ticket(cookie: Option<SetCookie>) -> String {
    cookie.expect("a cookie").value
}

#[test]
fn a_request_costs_no_more_than_is_documented() {
    let setting = Setting::new("sessions");
    let (created, cookie) = setting.trips(&say("Save", r#"{"user":"ann"}"#));
    assert_eq!(created, 1);
    let session = ticket(cookie);
    let get = Request::get;
    for (request, trips, what) in [
        (get("/"), 0, "no cookie"),
        (get("/").session("no.ticket.at-all"), 0, "none that verifies"),
        (get("/").session(&mint(r#"{"n":1}"#)), 0, "a session that is in its cookie"),
        (get("/static/logo").session(&session), 0, "no session on this route"),
        (get("/").session(&session), 1, "a read"),
        (say("Save", r#"{"user":"ann","n":1}"#).session(&session), 2, "a save"),
        (say("Merge", r#"{"m":1}"#).session(&session), 2, "a merge"),
    ] {
        assert_eq!(setting.trips(&request).0, trips, "{what}");
    }
    let (renewed, cookie) = setting.trips(&say("Renew", "1").session(&session));
    assert_eq!(renewed, 2);
    let session = ticket(cookie);
    assert_eq!(setting.trips(&say("Delete", "1").session(&session)).0, 2);
    assert_eq!(setting.trips(&get("/").session(&session)).0, 1, "one that has gone");
}

#[test]
fn with_revocations_only_a_log_out_costs_anything() {
    let setting = Setting::new("revocations");
    let (created, cookie) = setting.trips(&say("Save", r#"{"user":"ann"}"#));
    assert_eq!(created, 0);
    let session = ticket(cookie);
    assert_eq!(setting.trips(&Request::get("/").session(&session)).0, 0);
    assert_eq!(setting.trips(&say("Merge", r#"{"m":1}"#).session(&session)).0, 0);
    assert_eq!(setting.trips(&say("Delete", "1").session(&session)).0, 1);
}
