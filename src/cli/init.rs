//! `cloakroom init`: writes a first configuration, a key and, on request, deployment files. It asks
//! nothing, overwrites nothing, and writes either all files or none.

use std::path::Path;
use std::process::ExitCode;

use super::key_folder::Folder;
use super::keygen::KeyText;
use super::outcome::{Failure, print};
use crate::keys::Algorithm;

mod args;
mod compose;
mod kubernetes;
mod next;

pub(super) use args::InitArgs;
use args::{COMPOSE, CONFIG, KEY, KUBERNETES, UNIT};

pub(super) fn run(args: &InitArgs) -> Result<ExitCode, Failure> {
    let files = files(args)?;
    refuse_existing(&files)?;
    let key = KeyText::new(Algorithm::Hs256).map_err(Failure::runtime)?;
    let mut written = key.write(Path::new(KEY)).map_err(Failure::runtime)?;
    for (name, text) in &files {
        written
            .add(Path::new(name), name.into(), text.as_bytes(), 0o644)
            .map_err(Failure::runtime)?;
        if args.compose && *name == CONFIG {
            // The container reads both files, whatever the umask.
            let (user, group) = compose::user();
            written.give_to(user, group);
        }
    }
    written.keep();
    print(&next::steps(args))?;
    Ok(ExitCode::SUCCESS)
}

/// Names every existing file before the first one is written.
fn refuse_existing(files: &[(&str, String)]) -> Result<(), Failure> {
    let (folder, _) = Folder::of(Path::new(CONFIG)).map_err(Failure::runtime)?;
    let names = std::iter::once(KEY).chain(files.iter().map(|(name, _)| *name));
    // A dangling symlink counts as existing.
    let existing: Vec<&str> = names.filter(|name| folder.look(name.as_ref()).is_ok()).collect();
    match existing[..] {
        [] => Ok(()),
        [one] => Err(Failure::Usage(format!(
            "{one} exists and is not overwritten; nothing was written. Remove it, or run init in \
             another directory"
        ))),
        _ => Err(Failure::Usage(format!(
            "{} exist and are not overwritten; nothing was written. Remove them, or run init in \
             another directory",
            existing.join(", ")
        ))),
    }
}

/// The texts of all files except the key, by name.
fn files(args: &InitArgs) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut files = vec![(CONFIG, config(args))];
    if args.compose {
        files.push((COMPOSE, compose::file(args).map_err(Failure::Usage)?));
    }
    if args.kubernetes {
        files.push((KUBERNETES, kubernetes::file(args).map_err(Failure::Usage)?));
    }
    if args.systemd {
        files.push((UNIT, include_str!("../../deploy/systemd/cloakroom.service").to_owned()));
    }
    Ok(files)
}

fn config(args: &InitArgs) -> String {
    let in_container = args.compose || args.kubernetes;
    let listen = if in_container { "0.0.0.0:8080".into() } else { args.listen.to_string() };
    // In a pod, the kubelet and Prometheus connect from outside.
    let admin = if args.kubernetes { "0.0.0.0:9090" } else { "127.0.0.1:9090" };
    let quoted = |text: &str| toml::Value::from(text).to_string();
    include_str!("init/cloakroom.toml")
        .replace("{listen}", &quoted(&listen))
        .replace("{backend}", &quoted(&args.backend.to_string()))
        .replace("{admin}", &quoted(admin))
}
