//! `/sessions`: lets an operator list and end sessions in the store. Never shows a dict, which only
//! the cookie can open.

use http::{Method, Response, StatusCode};

use super::answer::{away, json, not_allowed, refusal};
use super::query;
use crate::clock;
use crate::session::Holds;
use crate::session::dict::Dict;
use crate::session::lifetime::{LONGEST, SessionId};
use crate::state::Shared;
use crate::store::Store;
use crate::store::operation::{Applied, Change, Outage, Revocation, Revoked};
use crate::store::record::SubjectHash;

/// The maximum length of a body.
pub(super) const MOST_BODY_BYTES: usize = 1024;

const NO_STORE: &str =
    "no [store] is configured: sessions are in cookies, and there is no list of them";
const NO_LIST: &str =
    "store.holds = \"revocations\": sessions are in cookies, and there is no list of them";
const NO_SUBJECT: &str =
    "session.subject is not set: cloakroom does not know whose session is whose";
const WHICH: &str = "say which: /sessions/ID, /sessions?subject=…, or to end all of them DELETE with \
                     the body {\"all\":true}";

/// The sessions that a request is about.
struct Which(Revoked);

type Refused = Response<Vec<u8>>;

/// The answer to a request of `/sessions` or a path below it; `rest` is the path after it.
pub(super) async fn answer(
    shared: &Shared,
    method: &Method,
    rest: &str,
    query: Option<&str>,
    body: &[u8],
) -> Response<Vec<u8>> {
    let Some(store) = &shared.store else {
        return refusal(StatusCode::NOT_FOUND, NO_STORE);
    };
    let which = match Which::of(shared, method, rest, query, body) {
        Ok(which) => which,
        Err(refused) => return *refused,
    };
    let holds = shared.state.load().config.session.store;
    let done = match *method {
        Method::GET | Method::HEAD if holds == Some(Holds::Revocations) => {
            return refusal(StatusCode::NOT_FOUND, NO_LIST);
        }
        Method::GET | Method::HEAD => show(shared, store, which.0).await,
        _ => end(shared, store, which.0).await,
    };
    done.unwrap_or_else(away)
}

impl Which {
    fn of(
        shared: &Shared,
        method: &Method,
        rest: &str,
        query: Option<&str>,
        body: &[u8],
    ) -> Result<Self, Box<Refused>> {
        if !matches!(*method, Method::GET | Method::HEAD | Method::DELETE) {
            return Err(Box::new(not_allowed("GET, HEAD, DELETE")));
        }
        let bad = |reason| Box::new(refusal(StatusCode::BAD_REQUEST, reason));
        if let Some(id) = rest.strip_prefix('/') {
            if query.is_some() || !body.is_empty() {
                return Err(bad("/sessions/ID takes neither a query nor a body"));
            }
            // No session has an invalid id.
            let id = SessionId::parse(id).filter(|id| id.to_bytes().is_some());
            return id.map(|id| Self(Revoked::Session(id))).ok_or_else(|| Box::new(no_session()));
        }
        if let Some(query) = query {
            let subject = query::subject(query).map_err(bad)?;
            if !body.is_empty() {
                return Err(bad(WHICH));
            }
            if shared.state.load().config.session.subject.is_none() {
                return Err(Box::new(refusal(StatusCode::NOT_FOUND, NO_SUBJECT)));
            }
            return Ok(Self(Revoked::Subject(SubjectHash::of_text(&subject))));
        }
        // Only this exact body ends all sessions.
        let is_all = Dict::parse(body).is_ok_and(|dict| dict.as_str() == r#"{"all":true}"#);
        if is_all && method == Method::DELETE { Ok(Self(Revoked::All)) } else { Err(bad(WHICH)) }
    }
}

fn no_session() -> Response<Vec<u8>> {
    refusal(StatusCode::NOT_FOUND, "there is no such session")
}

async fn show(shared: &Shared, store: &Store, which: Revoked) -> Result<Refused, Outage> {
    let now = clock::now();
    Ok(match which {
        Revoked::Session(id) => match shared.counted(store.show(id, now).await)? {
            Some(session) => json(session.to_json()),
            None => no_session(),
        },
        Revoked::Subject(subject) => {
            json(shared.counted(store.list(subject, now).await)?.to_json())
        }
        Revoked::Others { .. } | Revoked::All => refusal(StatusCode::BAD_REQUEST, WHICH),
    })
}

async fn end(shared: &Shared, store: &Store, which: Revoked) -> Result<Refused, Outage> {
    let now = clock::now();
    let what = match which {
        Revoked::Session(_) => "one",
        Revoked::Subject(_) | Revoked::Others { .. } => "those of a user",
        Revoked::All => "all",
    };
    let (holds, leeway) = {
        let policy = &shared.state.load().config.session;
        (policy.store, policy.leeway)
    };
    if holds == Some(Holds::Revocations) {
        let until = now.plus(LONGEST).plus(leeway);
        let revocation = Revocation { what: which, before: now, until };
        let replicated = shared.revoke(store, revocation, now).await?;
        log::info!(sessions = what; "sessions were revoked over the admin listener");
        // The number of sessions in cookies is unknown.
        return Ok(json(format!("{{\"ended\":null,\"replicated\":{replicated}}}")));
    }
    let change = match which {
        Revoked::Session(id) => Change::Delete { id },
        Revoked::Subject(subject) => Change::EndSubject { subject, except: None },
        Revoked::Others { subject, except } => Change::EndSubject { subject, except: Some(except) },
        Revoked::All => Change::EndAll,
    };
    let (ended, replicated) = match shared.counted(store.apply(change, now).await)? {
        Applied::Done { ended, replicated, .. } => (ended, replicated),
        Applied::Conflict(_) | Applied::Gone => (0, true),
    };
    log::info!(sessions = what, ended; "sessions were ended over the admin listener");
    Ok(json(format!("{{\"ended\":{ended},\"replicated\":{replicated}}}")))
}
