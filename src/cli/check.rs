//! `cloakroom check`: prints the effective configuration, or every fault in it and its keys; or
//! explains a key.

use std::path::Path;

use clap::Args;

use super::{ConfigArgs, Failure, print};
use crate::config::explain::explain;
use crate::config::file::{self, FileRead, Loaded, Overrides};
use crate::config::{StoreConfig, StoreHome};
use crate::fault::Fault;
use crate::keys::source;
use crate::server;
use crate::store::file::FileStore;

mod connect;
mod wear;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Say what a key means, such as session.ttl, instead: its default or an example, and where to
    /// read more
    #[arg(long, value_name = "KEY")]
    explain: Option<String>,
    /// Connect to the session store and check it: version, rights, settings that lose sessions
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(args: CheckArgs) -> Result<(), Failure> {
    if let Some(key) = &args.explain {
        return print(&explain(key).map_err(Failure::usage)?);
    }
    let Loaded { config, effective, .. } =
        check(&args.config.config).map_err(Failure::Configuration)?;
    for warning in wear::warnings(&config) {
        eprintln!("cloakroom: {warning}");
    }
    if args.connect {
        connect::connect(&config, &args.config.config)?;
    }
    let text = toml::to_string(&effective)
        .map_err(|error| Failure::Runtime(format!("the configuration cannot be shown: {error}")))?;
    print(&text)
}

fn check(path: &Path) -> Result<Loaded, Vec<Fault>> {
    let FileRead { mut loaded, keys } = file::read_file(path, &Overrides::default());
    let mut faults = match keys.as_slice() {
        // Already reported as a fault.
        [] => Vec::new(),
        keys => source::load(keys, path).err().unwrap_or_default(),
    };
    // The names of other files are only known if the configuration is valid.
    if let Ok(loaded) = &mut loaded {
        faults.extend(server::check_tls(&loaded.config, path).err().unwrap_or_default());
        let signature = loaded.config.signature.as_ref();
        let signer = signature.map(|spec| source::load_signer(spec, path)).transpose();
        faults.extend(signer.err().unwrap_or_default());
        faults.extend(loaded.config.read_admin_token(path).err().unwrap_or_default());
        faults.extend(loaded.config.read_revoked().err().unwrap_or_default());
        faults.extend(loaded.config.read_store_secrets(path).err().unwrap_or_default());
        if let Some(StoreConfig { home: StoreHome::File(path), .. }) = &loaded.config.store {
            let faulty = FileStore::check(path).err();
            faults.extend(faulty.map(|error| Fault::of_flag("store.url:", error.to_string())));
        }
    }
    match loaded {
        Ok(loaded) if faults.is_empty() => Ok(loaded),
        loaded => {
            faults.extend(loaded.err().unwrap_or_default());
            // Faults in the file of revoked sessions come last.
            faults.sort_by_key(|fault| (fault.file != path, fault.line));
            Err(faults)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn check_text(text: &str) -> Result<toml::Table, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cloakroom.toml");
        std::fs::write(&path, text).unwrap();
        let prefix = format!("{}:", path.display());
        let local = |fault: Fault| fault.to_string().replace(&prefix, "");
        check(&path)
            .map(|loaded| loaded.effective)
            .map_err(|faults| faults.into_iter().map(local).collect())
    }

    #[test]
    fn a_secret_is_not_printed() {
        let text = format!(
            "listen = \"[::1]:0\"\nbackend = \"http://app\"\n[[keys]]\nsecret = \"{SECRET}\"\n"
        );
        let shown = toml::to_string(&check_text(&text).unwrap()).unwrap();
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("secret = \"(redacted)\""), "{shown}");
        assert!(shown.contains("same_site = \"lax\""), "{shown}");
    }

    #[test]
    fn faults_of_the_file_and_of_its_keys_show_together() {
        let text = format!(
            "listen = \"[::1]:0\"\n\
             [[keys]]\nsecret = \"{SECRET}\"\nalgorithm = \"RS256\"\n\
             [[keys]]\nsecret_file = \"/does/not/exist\"\n\
             [cookie]\nsecure = 1\n"
        );
        let faults = check_text(&text).unwrap_err();
        let starts = [
            "1: missing key backend: ",
            "4: keys[1].algorithm = \"RS256\" takes a key pair: expected ",
            "6: keys[2]: secret_file /does/not/exist: ",
            "8: cookie.secure = 1: expected true, false or \"auto\"",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn faults_of_all_the_files_it_names_show_together() {
        let faults = check_text(
            "listen = \"[::1]:0\"\nbackend = \"http://app\"\n\
             [[keys]]\nsecret_file = \"/does/not/exist\"\n\
             [session]\nrevoked_file = \"/nor/this\"\n\
             [tls]\ncert = \"/nor/that\"\nkey = \"/nor/that\"\n",
        )
        .unwrap_err();
        let starts = [
            "4: keys[1]: secret_file /does/not/exist: ",
            "7: tls.cert /nor/that: ",
            "7: tls.key /nor/that: ",
            "/nor/this:1: session.revoked_file ",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:#?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_a_fault() {
        let faults = check(Path::new("/does/not/exist.toml")).unwrap_err();
        let fault: String = faults.iter().map(ToString::to_string).collect();
        assert!(fault.starts_with("/does/not/exist.toml:1: cannot be read: "), "{fault}");
    }
}
