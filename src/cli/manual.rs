//! `cloakroom completions` and `cloakroom man`: files for packages, generated from the command line
//! itself so that they always match.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Failure, print};

#[derive(clap::Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(clap::Args, Debug)]
pub(super) struct ManArgs {
    /// The directory for cloakroom.1, cloakroom-run.1 and so on; created if it is missing
    dir: PathBuf,
}

pub(super) fn completions(mut command: Command, args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "cloakroom", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(super) fn man(mut command: Command, args: &ManArgs) -> Result<(), Failure> {
    // Sets names such as cloakroom-key-rotate, and propagates common arguments.
    command.build();
    let written = std::fs::create_dir_all(&args.dir).and_then(|()| write(command, &args.dir));
    written.map_err(|error| Failure::Runtime(format!("{}: {error}", args.dir.display())))
}

/// Writes a page for the command and for each subcommand.
fn write(command: Command, dir: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write(below.clone(), dir)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    for (title, text) in SECTIONS {
        let mut section = Roff::new();
        section.control("SH", [*title]).text([roman(*text)]);
        section.to_writer(&mut page)?;
    }
    let mut file = std::fs::File::create(dir.join(format!("{name}.1")))?;
    file.write_all(&page)
}

/// Sections that are not generated from arguments.
const SECTIONS: &[(&str, &str)] = &[
    (
        "FILES",
        "/etc/cloakroom/cloakroom.toml is the configuration, unless --config or CLOAKROOM_CONFIG \
         names another. \"cloakroom check --explain KEY\" says what a key in it means.",
    ),
    (
        "EXIT STATUS",
        "0: success. 1: the command failed, or its answer is no. 2: the arguments or the configuration \
         are faulty.",
    ),
];
