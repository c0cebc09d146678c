//! `cloakroom key`: changes the keys in a configuration, in steps that end no session early.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfigArgs, Failure, print};
use crate::clock;
use crate::config::Config;
use crate::keys::source::KeySpec;
use crate::session::lifetime::LONGEST;
use crate::time::Timestamp;

mod configuration;
mod edit;
mod fresh;
mod name;

use configuration::Configuration;
use edit::EditError;
use fresh::{FreshKey, Old};
use name::NewKey;

/// Changes the keys in a configuration. All else in it stays as it is, comments included.
#[derive(Args, Debug)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new key that signs from now on; the keys before it still verify
    Rotate(Rotation),
    /// Make a new key that only verifies for now: the first step if several sidecars share keys
    Add(NewKey),
    /// Make a key sign from now on; the others still verify
    Promote(OldKey),
    /// Remove a key; the sessions that it signed end
    Retire(OldKey),
}

#[derive(Args, Debug)]
struct Rotation {
    #[command(flatten)]
    new: NewKey,
    /// The signing key has leaked: remove it now, and end every session issued until now
    #[arg(long)]
    leaked: bool,
}

#[derive(Args, Debug)]
struct OldKey {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its id, or without one its number in the file, from 1
    key: String,
}

pub(super) fn run(args: &KeyArgs) -> Result<(), Failure> {
    let report = match &args.action {
        Action::Rotate(Rotation { new, leaked: false }) => rotate(new),
        Action::Rotate(Rotation { new, leaked: true }) => replace_leaked(new),
        Action::Add(new) => add(new),
        Action::Promote(OldKey { config, key }) => promote(&config.config, key),
        Action::Retire(OldKey { config, key }) => retire(&config.config, key),
    };
    print(&report?)
}

fn rotate(new: &NewKey) -> Result<String, Failure> {
    let now = clock::now();
    let (mut report, changed, _) = put(new, edit::put_first, now)?;
    let (path, former) = (changed.path.display(), changed.label(1));
    report.push_str(&format!(
        "{path}: the new key signs from now on, key {former} still verifies.\n\
         {RELOAD}\n\
         Sidecars that share key {former} and do not have the new one refuse its sessions: where \
         there are\nseveral, begin with `cloakroom key add`.\n"
    ));
    report.push_str(&when_it_can_go(&changed.config, &changed.path, &former, now));
    Ok(report)
}

/// In one step: in between, a forged session could get a token of the new key.
fn replace_leaked(new: &NewKey) -> Result<String, Failure> {
    let now = clock::now();
    let before = Configuration::read(&new.config.config)?;
    let out = before.same_as_first();
    let not_before = match before.config.session.revocations.not_before {
        Some(later) if later > now => None,
        // Sessions issued in this second are revoked too.
        _ => Some(now.to_rfc3339_millis()),
    };
    let edit = |text: &str, entries: &[(&str, &str)]| {
        let mut text = edit::put_first(text, entries)?;
        // Indexes have moved by one, because the new key comes first.
        for index in out.iter().rev() {
            text = edit::remove(&text, index + 1)?;
        }
        match &not_before {
            Some(moment) => edit::set_not_before(&text, moment),
            None => Ok(text),
        }
    };
    let (mut report, changed, _) = put(new, edit, now)?;
    let path = changed.path.display();
    let labels: Vec<String> = out.iter().map(|index| before.label(*index)).collect();
    let labels = labels.join(" and ");
    report.push_str(&format!(
        "{path}: the new key signs from now on, key {labels} is removed, and every\n\
         session issued until now has ended (session.not_before).\n\
         {RELOAD}\n\
         Sidecars that share key {labels} accept forged sessions until they have the new key and \
         this\nconfiguration: bring them both at once.\n"
    ));
    let keys = out.iter().filter_map(|index| before.config.keys.get(*index));
    for file in keys.flat_map(KeySpec::files) {
        let file = file.display();
        report.push_str(&format!("{file} still exists: remove it if nothing needs it.\n"));
    }
    Ok(report)
}

fn add(new: &NewKey) -> Result<String, Failure> {
    let (mut report, changed, id) = put(new, edit::put_last, clock::now())?;
    let path = changed.path.display();
    let signing = changed.label(0);
    report.push_str(&format!(
        "{path}: the new key verifies, key {signing} still signs.\n\
         {RELOAD}\n\
         When every sidecar that shares key {signing} has the new one, let it sign:\n    \
         cloakroom key promote --config {path} {id}\n"
    ));
    Ok(report)
}

fn promote(path: &Path, key: &str) -> Result<String, Failure> {
    let now = clock::now();
    let configuration = Configuration::read(path)?;
    let (index, _) = find(&configuration, key)?;
    let path = path.display();
    if index == 0 {
        return Ok(format!("{path}: key {key} signs already; nothing is changed.\n"));
    }
    if configuration.keys().nth(index).is_some_and(|(.., key)| !key.can_sign()) {
        return Err(Failure::Usage(format!("{path}: key {key} is a public key: it cannot sign")));
    }
    let changed = configuration.change(|text| edit::move_first(text, index))?;
    let (signing, former) = (changed.label(0), changed.label(1));
    Ok(format!(
        "{path}: key {signing} signs from now on, key {former} still verifies.\n{RELOAD}\n{}",
        when_it_can_go(&changed.config, &changed.path, &former, now)
    ))
}

fn retire(path: &Path, key: &str) -> Result<String, Failure> {
    let configuration = Configuration::read(path)?;
    let (index, spec) = find(&configuration, key)?;
    let path = path.display();
    if index == 0 {
        return Err(Failure::Usage(match configuration.config.keys.len() {
            1 => format!("{path}: key {key} is the only one"),
            _ => format!("{path}: key {key} signs: promote another one first"),
        }));
    }
    configuration.change(|text| edit::remove(text, index))?;
    let mut report = format!(
        "{path}: key {key} is removed; the sessions that it signed have ended.\n{RELOAD}\n"
    );
    for file in spec.files() {
        let file = file.display();
        report.push_str(&format!("{file} still exists: remove it if nothing needs it.\n"));
    }
    Ok(report)
}

const RELOAD: &str = "A running sidecar uses this within a second, without a restart.";

/// Makes a key and adds it to the configuration. Returns the start of a report, the new
/// configuration, and the key's id.
fn put(
    new: &NewKey,
    edit: impl FnOnce(&str, &[(&str, &str)]) -> Result<String, EditError>,
    now: Timestamp,
) -> Result<(String, Configuration, String), Failure> {
    let configuration = Configuration::read(&new.config.config)?;
    let first = configuration.config.keys.first();
    let algorithm = new.algorithm.or(first.map(|key| key.algorithm)).unwrap_or_default();
    let beside = first.and_then(|key| key.files().next());
    let taken = |id: &str| configuration.keys().any(|(label, ..)| label == id);
    let (id, path) = name::of_new_key(new, first, now, taken).map_err(Failure::usage)?;
    let as_text = path.to_str().ok_or_else(|| {
        Failure::Usage(format!(
            "{}: a configuration can only contain names in UTF-8",
            path.display()
        ))
    })?;

    let key =
        FreshKey::write(path.clone(), algorithm, beside.as_deref()).map_err(Failure::runtime)?;
    let changed = configuration.change(|text| edit(text, &key.entries(&id, as_text)))?;
    let mut report = format!("{as_text}: a new key, {id}, for {}.\n", algorithm.name());
    if let Some(public) = key.public() {
        let public = public.display();
        report.push_str(&format!("{public}: its public half, for those that only verify.\n"));
    }
    match key.old() {
        Old::Shared => report.push_str(
            "Only its owner can read it, others can read the old one: make sure that the sidecar can read it.\n",
        ),
        Old::NoFile => report.push_str(
            "It belongs to the user who ran this command, as the old one is a symlink: make sure\nthat the sidecar can read it.\n",
        ),
        Old::Private | Old::Nothing => {}
    }
    key.keep();
    Ok((report, changed, id))
}

/// The key with this name, as in metrics and logs, and its index from 0.
fn find<'a>(configuration: &'a Configuration, name: &str) -> Result<(usize, &'a KeySpec), Failure> {
    let labels: Vec<String> = configuration.keys().map(|(label, ..)| label).collect();
    let mut found = configuration.keys().enumerate().filter(|(_, (label, ..))| label == name);
    match (found.next(), found.next()) {
        (Some((index, (_, spec, _))), None) => Ok((index, spec)),
        (found, _) => {
            let path = configuration.path.display();
            let count = if found.is_some() { "several keys" } else { "no key" };
            let labels = labels.join(", ");
            Err(Failure::Usage(format!("{path}: {count} of the name {name}: there are {labels}")))
        }
    }
}

/// When the previous signing key can be retired.
fn when_it_can_go(config: &Config, path: &Path, key: &str, now: Timestamp) -> String {
    let policy = &config.session;
    let after = |lifetime: Duration| now.plus(lifetime).plus(policy.leeway).to_rfc3339();
    let longest = policy.absolute_ttl.unwrap_or(LONGEST).min(LONGEST);
    let series = format!("cloakroom_key_uses_total{{key={key:?},use=\"verify\"}}");
    let own = config.headers.max_age.as_str();
    let when = match policy.lifetime() {
        Some(lifetime) => format!(
            "Key {key} can go after {}: the last token that it signed has expired then.\n\
             A session that the app gave an {own} of its own may last until {}:\n\
             {series} no longer rises when nobody has one.\n",
            after(lifetime.min(longest)),
            after(longest),
        ),
        None => format!(
            "Tokens of key {key} do not expire, as session.ttl is not set. It can go when\n\
             {series} has stood still for as long\n\
             as a user may stay away.\n"
        ),
    };
    format!("{when}Then: cloakroom key retire --config {} {key}\n", path.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn the_last_token_says_when_a_key_can_go() {
        let now = Timestamp::from_secs(1_795_435_200); // 2026-11-23T12:00:00Z
        let said = |session: &str| {
            let text = format!(
                "listen = \"[::1]:0\"\nbackend = \"http://app\"\n[[keys]]\nsecret = \"{}\"\n\
                 [session]\n{session}",
                "x".repeat(32)
            );
            let overrides = crate::config::file::Overrides::default();
            let loaded = crate::config::file::parse(&text, Path::new("f"), &overrides).unwrap();
            when_it_can_go(&loaded.config, Path::new("f"), "old", now)
        };
        for (session, expected) in [
            ("ttl = \"14d\"", &["after 2026-12-07T12:00:00Z", "until 2027-12-28T12:00:00Z"][..]),
            ("ttl = \"14d\"\nleeway = \"60s\"", &["after 2026-12-07T12:01:00Z"]),
            (
                "ttl = \"14d\"\nabsolute_ttl = \"7d\"",
                &["after 2026-11-30T12:00:00Z", "until 2026-11-30T12:00:00Z"],
            ),
            ("absolute_ttl = \"90d\"", &["after 2027-02-21T12:00:00Z"]),
            ("", &["do not expire", "cloakroom_key_uses_total{key=\"old\",use=\"verify\"}"]),
        ] {
            let said = said(session);
            for part in expected {
                assert!(said.contains(part), "{session}: {said}");
            }
            assert!(said.ends_with("Then: cloakroom key retire --config f old\n"), "{said}");
        }
    }
}
