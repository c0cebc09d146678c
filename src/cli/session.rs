//! `cloakroom session`: lets an operator list and end the sessions in a store, whether a sidecar
//! runs or not. Never shows a dict, which only its cookie can open.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::{ConfigArgs, Failure, print};
use crate::clock;
use crate::config::file::{Overrides, load};
use crate::config::{Config, StoreConfig, StoreHome};
use crate::server;
use crate::session::Holds;
use crate::session::lifetime::{LONGEST, SessionId};
use crate::store::Store;
use crate::store::operation::{Applied, Change, Listed, MOST_LISTED, Outage, Revocation, Revoked};
use crate::store::record::SubjectHash;
use crate::store::server::Secrets;
use crate::time::Timestamp;

/// The time limit of a call; no request waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the sessions in a store, and ends them.
#[derive(clap::Args, Debug)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List the sessions of a user, the oldest first
    List {
        /// The user: the value at session.subject
        #[arg(long, allow_hyphen_values = true)]
        subject: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show one session
    Show {
        /// Its id, as `cloakroom session list` or `cloakroom token decode --explain` shows it
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// End one session, those of a user, or all
    Revoke {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

impl Action {
    fn config(&self) -> &ConfigArgs {
        let (Self::List { config, .. } | Self::Show { config, .. } | Self::Revoke { config, .. }) =
            self;
        config
    }
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The id of the session
    #[arg(allow_hyphen_values = true)]
    id: Option<String>,
    /// Every session of this user: the value at session.subject
    #[arg(long, allow_hyphen_values = true)]
    subject: Option<String>,
    /// Every session
    #[arg(long)]
    all: bool,
}

/// None if no session can have this id.
fn session_id(text: &str) -> Option<SessionId> {
    SessionId::parse(text).filter(|id| id.to_bytes().is_some())
}

pub(crate) fn run(args: &SessionArgs) -> Result<ExitCode, Failure> {
    let config = args.action.config();
    // The sidecar may get these from its command line instead of the file.
    let overrides = Overrides {
        listen: vec!["127.0.0.1:8080".into()],
        backend: Some("http://127.0.0.1:5000".into()),
    };
    let config = load(&config.config, &overrides).map_err(Failure::Configuration)?.config;
    let Some(store_config) = &config.store else {
        return Err(Failure::Usage(
            "no [store] is configured: sessions are in cookies, and there is no list of them"
                .into(),
        ));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Runtime(format!("cannot start: {error}")))?;
    let secrets = config.read_store_secrets(&args.action.config().config);
    let store = open(store_config, secrets.map_err(Failure::Configuration)?)?;
    store.start(runtime.handle());
    runtime.block_on(act(&args.action, &config, store_config, &store))
}

fn open(config: &StoreConfig, secrets: Option<Secrets>) -> Result<Store, Failure> {
    // Do not create an empty file for a wrong path.
    if let StoreHome::File(path) = &config.home
        && !path.exists()
    {
        return Err(Failure::Usage(format!(
            "session file {}: not found: cloakroom makes it when it starts",
            path.display()
        )));
    }
    server::store::open(config, secrets, PATIENCE)
        .map_err(|error| Failure::Usage(error.to_string()))
}

async fn act(
    action: &Action,
    config: &Config,
    store_config: &StoreConfig,
    store: &Store,
) -> Result<ExitCode, Failure> {
    let now = clock::now();
    let subject = |text: &str| match config.session.subject {
        Some(_) => Ok(SubjectHash::of_text(text.as_bytes())),
        None => Err(Failure::Usage(
            "session.subject is not set: cloakroom does not know whose session is whose".into(),
        )),
    };
    let revocations_only = store_config.holds == Holds::Revocations;
    match action {
        Action::List { .. } | Action::Show { .. } if revocations_only => Err(Failure::Usage(
            "store.holds = \"revocations\": sessions are in cookies, and there is no list of them"
                .into(),
        )),
        Action::List { subject: user, json, .. } => {
            let found = store.list(subject(user)?, now).await.result.map_err(away)?;
            let any = !found.sessions.is_empty();
            if *json {
                print(&format!("{}\n", found.to_json()))?;
            } else if any {
                print(&as_table(&found.sessions))?;
            }
            if found.has_more {
                eprintln!("cloakroom: there are more: at most {MOST_LISTED} are listed");
            }
            Ok(matched(any))
        }
        Action::Show { id, json, .. } => {
            let found = match session_id(id) {
                Some(id) => store.show(id, now).await.result.map_err(away)?,
                None => None,
            };
            match &found {
                Some(session) if *json => print(&format!("{}\n", session.to_json()))?,
                Some(session) => print(&as_table(std::slice::from_ref(session)))?,
                None => {}
            }
            Ok(matched(found.is_some()))
        }
        Action::Revoke { which, .. } => {
            let what = match which {
                Which { id: Some(id), .. } => match session_id(id) {
                    Some(id) => Revoked::Session(id),
                    None => return Ok(matched(false)),
                },
                Which { subject: Some(user), .. } => Revoked::Subject(subject(user)?),
                Which { .. } => Revoked::All,
            };
            if revocations_only {
                let until = now.plus(LONGEST).plus(config.session.leeway);
                let revocation = Revocation { what, before: now, until };
                let replicated = store.revoke(revocation, now).await.result.map_err(away)?;
                say_unless(replicated);
                print("revoked: every sidecar knows within a second\n")?;
                return Ok(ExitCode::SUCCESS);
            }
            let change = match what {
                Revoked::Session(id) => Change::Delete { id },
                Revoked::Subject(subject) | Revoked::Others { subject, .. } => {
                    Change::EndSubject { subject, except: None }
                }
                Revoked::All => Change::EndAll,
            };
            let (ended, replicated) = match store.apply(change, now).await.result.map_err(away)? {
                Applied::Done { ended, replicated, .. } => (ended, replicated),
                Applied::Conflict(_) | Applied::Gone => (0, true),
            };
            if ended > 0 {
                say_unless(replicated);
                let sessions = if ended == 1 { "session" } else { "sessions" };
                print(&format!("{ended} {sessions} ended\n"))?;
            }
            Ok(matched(ended > 0))
        }
    }
}

fn away(outage: Outage) -> Failure {
    Failure::Usage(outage.to_string())
}

/// Warns if a failover of the store may restore ended sessions.
fn say_unless(replicated: bool) {
    if !replicated {
        eprintln!(
            "cloakroom: no replica of the store has acknowledged this: a failover of it could undo it"
        );
    }
}

/// The exit code: whether any matching session was found.
fn matched(any: bool) -> ExitCode {
    if any {
        return ExitCode::SUCCESS;
    }
    eprintln!("cloakroom: no such session");
    ExitCode::FAILURE
}

const ID_WIDTH: usize = 22;
const MOMENT_WIDTH: usize = 20;

fn as_table(sessions: &[Listed]) -> String {
    let mut text = String::new();
    let mut line = |[id, start, seen, expires, bytes]: [&str; 5]| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{id:ID_WIDTH$}  {start:MOMENT_WIDTH$}  {seen:MOMENT_WIDTH$}  {expires:MOMENT_WIDTH$}  \
             {bytes:>7}"
        );
    };
    line(["id", "start", "seen", "expires", "bytes"]);
    for session in sessions {
        let [start, seen, exp] =
            [session.start, session.seen, session.exp].map(Timestamp::to_rfc3339);
        line([session.id.as_str(), &start, &seen, &exp, &session.bytes.to_string()]);
    }
    text
}
