//! Reads a whole configuration file and collects all faults.

use std::path::Path;
use std::thread::available_parallelism;

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::reader::{Document, Place, Read, Table, line_of};
use super::section::Store;
use super::value::{duration, from_text, whole};
use super::{AddressError, Backend, Config, Listen, Tls, section};
use crate::fault::Fault;
use crate::keys::source::KeySpec;
use crate::session::Policy;
use crate::session::cookie::Secure;
use crate::session::revocation::Revocations;

/// Overrides of the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`
    pub listen: Vec<String>,
    /// `--backend`
    pub backend: Option<String>,
}

/// A configuration that has been read.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every key with its effective value, secrets redacted.
    pub effective: toml::Table,
    /// Warnings for the operator, one line each.
    pub warnings: Vec<String>,
}

/// Reads the file at `path`.
///
/// # Errors
/// Every fault found.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, Vec<Fault>> {
    read_file(path, overrides).loaded
}

/// Reads `text`; messages refer to it as `path`.
///
/// # Errors
/// Every fault found.
pub fn parse(text: &str, path: &Path, overrides: &Overrides) -> Result<Loaded, Vec<Fault>> {
    read(text, path, overrides).loaded
}

/// The result of reading a file, with or without faults.
#[derive(Debug)]
pub(crate) struct FileRead {
    pub(crate) loaded: Result<Loaded, Vec<Fault>>,
    /// A spec for each `[[keys]]`, in order, to check the secrets. Faulty values are replaced by
    /// ones that cause no further faults. Not for signing.
    pub(crate) keys: Vec<KeySpec>,
}

/// Reads the file at `path`, and its keys even if there are faults.
pub(crate) fn read_file(path: &Path, overrides: &Overrides) -> FileRead {
    let unreadable = |line, message: String| FileRead {
        loaded: Err(vec![Fault::new(path, line, message)]),
        keys: Vec::new(),
    };
    // It may contain a secret.
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => return unreadable(1, format!("cannot be read: {error}")),
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => read(text, path, overrides),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            unreadable(line_of(&good, good.len()), "is not UTF-8".into())
        }
    }
}

fn read(text: &str, path: &Path, overrides: &Overrides) -> FileRead {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let syntax = syntax_faults(&errors, text, path);
    // An unclosed array includes the rest of the file.
    if errors.iter().any(|error| error.message().starts_with("unclosed")) {
        let first = syntax.into_iter().take(1).collect();
        return FileRead { loaded: Err(first), keys: Vec::new() };
    }
    let mut document = Document::new(path, text);
    let ((parts, keys), effective) =
        Table::top(&mut document, tree.get_ref()).read(|table| everything(table, overrides));
    let faults = document.finish(syntax);
    let loaded = match parts {
        Ok((config, warnings)) if faults.is_empty() => Ok(Loaded { config, effective, warnings }),
        _ => Err(faults),
    };
    FileRead { loaded, keys }
}

/// Only one fault per line, because the others follow from it. The parser's messages do not quote
/// the file.
fn syntax_faults(errors: &[toml::de::Error], text: &str, path: &Path) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or_default();
        let line = line_of(text, span.start);
        let message = match (error.message(), text.get(span)) {
            ("duplicate key", Some(key)) => format!("duplicate key {key}"),
            (message, _) => format!("not TOML: {message}"),
        };
        if faults.iter().all(|fault| fault.line != line) {
            faults.push(Fault::new(path, line, message));
        }
    }
    faults.sort_by_key(|fault| fault.line);
    faults
}

pub(super) type Parts = (Read<(Config, Vec<String>)>, Vec<KeySpec>);

/// Reads the top level, in the order of docs/configuration.md.
pub(super) fn everything(table: &mut Table<'_, '_>, overrides: &Overrides) -> Parts {
    let listen = listen(table, &overrides.listen);
    let backend = backend(table, overrides.backend.as_deref());
    let trusted_proxies = section::trusted_proxies(table);
    let strip = section::strip(table);
    let odd_header_names = section::odd_header_names(table);
    let shutdown_timeout = table.or("shutdown_timeout", "8s", duration);
    let workers = table.or("workers", processors(), whole(1..=1024));
    let keys = section::keys(table);
    let headers = table.table("headers", section::headers);
    let session = table.table("session", section::session);
    let cookie = table.table("cookie", section::cookie);
    let store = table.table("store", section::store);
    let routes = section::routes(table, backend.as_ref().ok());
    let log = table.table("log", section::log);
    let admin = table.table("admin", section::admin);
    let limits = table.table("limits", section::limits);
    let timeouts = table.table("timeouts", section::timeouts);
    let tls = table.table("tls", section::tls);
    let backend_tls = table.table("backend_tls", section::backend_tls);
    let health_check = table.table("health_check", section::health_check);
    let socket_mode = table.or("socket_mode", "0666", section::socket_mode);
    let upgrade_socket = table.optional("upgrade_socket", section::absolute_path);

    refuse_taken(table, &listen, &tls, &admin);
    let store_place = store.as_ref().ok().and_then(Option::as_ref).map(|s| s.place.clone());
    let config = || {
        let (listen, session, cookie) = (listen?, session?, cookie?);
        let tls = tls?;
        let mut warnings = Vec::new();
        let open = listen.iter().find(|(_, listen)| !listen.is_local());
        if let (Secure::Never, Some((_, open))) = (cookie.secure, open) {
            warnings.push(format!(
                "cookie.secure = false: browsers also send the session unencrypted, and {open} can be reached from other machines"
            ));
        }
        let admin = admin?;
        if let (Some(_), Some((_, listen))) = (&admin.token_file, &admin.listen)
            && !listen.is_local()
        {
            warnings.push(format!(
                "admin.token_file: {listen} can be reached from other machines, and the token is sent unencrypted: listen on 127.0.0.1 or a unix socket, or put TLS in front"
            ));
        }
        let (routes, route_backends) = routes?;
        warnings.extend(routes.warnings());
        let lifetime = session.lifetime;
        let section::Headers { names: headers, signature } = headers?;
        let store = store?.map(|store: Store| store.config);
        let config = Config {
            listen: listen.into_iter().map(|(_, listen)| listen).collect(),
            backend: backend?,
            route_backends,
            keys: keys.specs?,
            session: Policy {
                cookie: cookie.attributes,
                max_cookie_bytes: session.max_cookie_bytes,
                max_bytes: session.max_bytes,
                encoding: headers.encoding,
                issuer: session.issuer,
                audience: session.audience,
                leeway: session.leeway,
                require_exp: lifetime.require_exp,
                ttl: lifetime.ttl,
                refresh_after: lifetime.refresh_after,
                absolute_ttl: lifetime.absolute_ttl,
                revocations: Revocations::since(session.not_before),
                subject: session.subject,
                on_conflict: session.on_conflict,
                store: store.as_ref().map(|store| store.holds),
                accept_names: cookie.accept_names,
            },
            headers,
            signature,
            store,
            revoked_file: session.revoked_file,
            forward_cookie: session.forward_cookie,
            vary: session.vary,
            on_bad_save: session.on_bad_save,
            cross_site: session.cross_site,
            recheck: session.recheck,
            trusted_origins: session.trusted_origins,
            routes,
            trusted_proxies: trusted_proxies?,
            strip: strip?,
            odd_header_names: odd_header_names?,
            admin: admin.listen.map(|(_, listen)| listen),
            admin_token: admin.token_file,
            log: log?,
            limits: limits?,
            timeouts: timeouts?,
            tls: tls.map(|tls| Tls {
                files: tls.files,
                listen: tls.listen.into_iter().map(|(_, listen)| listen).collect(),
            }),
            backend_tls: backend_tls?,
            health_check: health_check?,
            socket_mode: socket_mode?,
            upgrade_socket: upgrade_socket?,
            shutdown_timeout: shutdown_timeout?,
            workers: workers?,
        };
        Ok((config, warnings))
    };
    let config = config();
    if let (Ok((config, _)), Some(place)) = (&config, store_place) {
        section::refuse_unfit(table, config, &place);
    }
    (config, keys.stand_ins)
}

type Listeners = Vec<(Place, Listen)>;

fn listen(table: &mut Table<'_, '_>, flags: &[String]) -> Read<Listeners> {
    let in_file = table.one_or_more("listen", from_text::<Listen>);
    if flags.is_empty() {
        let example = "the address clients connect to, e.g. listen = \"0.0.0.0:8080\"";
        return in_file?.ok_or_else(|| table.missing("listen", example));
    }
    let place = Place::flag("--listen");
    let parsed: Vec<Read<_>> =
        flags.iter().map(|flag| override_with(table, &place, flag)).collect();
    table.set_effective("listen", flags.to_vec());
    in_file?;
    parsed.into_iter().map(|listen| Ok((place.clone(), listen?))).collect()
}

fn backend(table: &mut Table<'_, '_>, flag: Option<&str>) -> Read<Backend> {
    let Some(flag) = flag else {
        let example = "the address of the app, e.g. backend = \"http://app:5000\"";
        return table.required("backend", example, from_text);
    };
    let in_file = table.optional("backend", from_text::<Backend>);
    let parsed = override_with(table, &Place::flag("--backend"), flag);
    table.set_effective("backend", flag);
    in_file?;
    parsed
}

fn override_with<T>(table: &mut Table<'_, '_>, place: &Place, flag: &str) -> Read<T>
where
    T: std::str::FromStr<Err = AddressError>,
{
    let written = super::value::shown(&flag.into());
    flag.parse()
        .map_err(|expected: AddressError| table.document().refuse(place, Some(&written), expected))
}

/// Refuses duplicate addresses, except port 0.
fn refuse_taken(
    table: &mut Table<'_, '_>,
    listen: &Read<Listeners>,
    tls: &Read<Option<section::Tls>>,
    admin: &Read<section::Admin>,
) {
    let listen = listen.as_deref().unwrap_or_default();
    let tls = tls.as_ref().ok().and_then(Option::as_ref).map(|tls| &tls.listen[..]);
    let admin = admin.as_ref().ok().and_then(|admin| admin.listen.as_ref());
    let all: Vec<&(Place, Listen)> =
        listen.iter().chain(tls.unwrap_or_default()).chain(admin).collect();
    for (index, (place, address)) in all.iter().enumerate() {
        if matches!(address, Listen::Tcp(address) if address.port() == 0) {
            continue;
        }
        if let Some((earlier, _)) = all[..index].iter().find(|(_, earlier)| earlier == address) {
            let expected = format!("duplicate address: {} has it already", earlier.path());
            table.document().refuse(place, Some(&format!("\"{address}\"")), &expected);
        }
    }
}

fn processors() -> i64 {
    available_parallelism()
        .ok()
        .and_then(|count| i64::try_from(count.get().min(1024)).ok())
        .unwrap_or(1)
}
