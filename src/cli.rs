//! The command line: its subcommands and exit codes.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

mod check;
mod config_args;
mod demo;
mod health;
mod init;
mod key;
mod key_folder;
mod keygen;
mod manual;
mod outcome;
mod run;
mod session;
mod token;

use config_args::ConfigArgs;
use outcome::{Failure, print, report};

/// A reverse proxy that manages cookie sessions for the app behind it.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first configuration and a key
    Init(init::InitArgs),
    /// Run the proxy until SIGTERM or SIGINT
    Run(run::RunArgs),
    /// Print the effective configuration, or every fault in it
    Check(check::CheckArgs),
    /// Create and read session tokens
    Token(token::TokenArgs),
    /// List, show and revoke the sessions in a store
    Session(session::SessionArgs),
    /// Create a new secret or key pair
    Keygen(keygen::KeygenArgs),
    /// Change the keys in a configuration: rotate, add, promote, retire
    Key(key::KeyArgs),
    /// Run a demo: a small shop behind cloakroom, with a new key
    Demo(demo::DemoArgs),
    /// Check whether the running cloakroom is ready
    Health(health::HealthArgs),
    /// Print completions for a shell
    Completions(manual::CompletionsArgs),
    /// Write the manual pages
    Man(manual::ManArgs),
}

/// Parses the arguments, runs the subcommand and turns its error into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output, with exit code 0. If it is closed, ignore the
            // error.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2).into();
        }
    };
    let outcome = match arguments.command {
        Command::Init(args) => init::run(&args),
        Command::Run(args) => run::run(args).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(args).map(|()| ExitCode::SUCCESS),
        Command::Token(args) => token::run(&args).map_err(Failure::usage),
        Command::Session(args) => session::run(&args),
        Command::Keygen(args) => keygen::run(&args).map_err(Failure::usage),
        Command::Key(args) => key::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(args).map(|()| ExitCode::SUCCESS),
        Command::Health(args) => Ok(health::run(&args)),
        Command::Completions(args) => {
            manual::completions(Arguments::command(), &args).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(args) => manual::man(Arguments::command(), &args).map(|()| ExitCode::SUCCESS),
    };
    crate::logging::flush();
    outcome.unwrap_or_else(|failure| report(&failure))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn refused(arguments: &[&str]) -> clap::Error {
        let all = ["cloakroom"].iter().chain(arguments);
        Arguments::try_parse_from(all).unwrap_err()
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_documented_forms_are_understood() {
        let table: &[&[&str]] = &[
            &["init"],
            &["init", "--backend", "http://app:5000", "--listen", "[::1]:80", "--compose"],
            &["init", "--kubernetes", "--systemd"],
            &["run"],
            &["run", "--config", "f"],
            &["run", "--listen", "[::]:1", "--listen", "unix:/a", "--backend", "http://b"],
            &["check", "--config", "f"],
            &["check", "--explain", "session.ttl"],
            &["token", "encode"],
            &["token", "encode", "-"],
            &["token", "encode", "{}", "--secret-file", "f"],
            &["token", "decode", "a.b.c", "--config", "f"],
            &["session", "list", "--subject", "7", "--json"],
            &["session", "show", "AQEBAQEBAQEBAQEBAQEBAQ"],
            &["session", "show", "-hEBAQEBAQEBAQEBAQEBAQ", "--json"],
            &["session", "revoke", "--config", "f", "--", "--EBAQEBAQEBAQEBAQEBAQ"],
            &["session", "revoke", "--subject", "-7", "--config", "f"],
            &["session", "revoke", "--all"],
            &["keygen"],
            &["keygen", "--algorithm", "HS512", "--out", "f"],
            &["key", "rotate"],
            &["key", "rotate", "--config", "f", "--algorithm", "ES256", "--id", "a.b-c_1"],
            &["key", "rotate", "--leaked"],
            &["key", "add", "--dir", "d"],
            &["key", "promote", "2026-11-23", "--config", "f"],
            &["key", "retire", "--config", "f", "2"],
            &["demo"],
            &["demo", "--listen", "localhost:0"],
            &["health", "--config", "f"],
            &["completions", "zsh"],
            &["man", "folder"],
        ];
        for arguments in table {
            let all = ["cloakroom"].iter().chain(*arguments);
            assert!(Arguments::try_parse_from(all).is_ok(), "{arguments:?}");
        }
    }

    #[test]
    fn each_command_has_a_manual_page_that_names_its_options() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("man1");
        let arguments = ["cloakroom", "man", dir.to_str().unwrap()];
        let Command::Man(args) = Arguments::try_parse_from(arguments).unwrap().command else {
            unreachable!("it is `man`");
        };
        manual::man(Arguments::command(), &args).unwrap();
        let page = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        for (name, parts) in [
            ("cloakroom.1", &["cloakroom\\-run(1)", "EXIT STATUS"][..]),
            ("cloakroom-run.1", &["\\-\\-upgrade", "CLOAKROOM_CONFIG", "FILES"]),
            ("cloakroom-key-rotate.1", &["\\-\\-leaked"]),
        ] {
            let page = page(name);
            for part in parts {
                assert!(page.contains(part), "{part} is not in {name}:\n{page}");
            }
        }
        assert!(!dir.join("cloakroom-help.1").exists());
    }

    #[test]
    fn misuse_is_exit_code_2_and_help_is_0() {
        let misuse: [&[&str]; 16] = [
            &[],
            &["init", "--backend", "app"],
            &["init", "--listen", "8080"],
            &["session", "list"],
            &["session", "revoke"],
            &["session", "revoke", "--all", "--subject", "7"],
            &["session", "revoke", "AQEBAQEBAQEBAQEBAQEBAQ", "--all"],
            &["check", "--explain"],
            &["key"],
            &["key", "retire"],
            &["key", "add", "--leaked"],
            &["key", "rotate", "--id", "../key"],
            &["serve"],
            &["run", "--port", "1"],
            &["demo", "--listen", "example.com:80"],
            &["token"],
        ];
        for arguments in misuse {
            assert_eq!(refused(arguments).exit_code(), 2, "{arguments:?}");
        }
        assert_eq!(refused(&["--help"]).exit_code(), 0);
        let version = refused(&["--version"]);
        assert_eq!(version.kind(), ErrorKind::DisplayVersion);
        assert_eq!(version.to_string(), format!("cloakroom {}\n", env!("CARGO_PKG_VERSION")));
    }
}
