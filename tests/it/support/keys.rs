//! Keys made by `cloakroom keygen`, and unusual ones by `openssl`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a key for the algorithm and returns its path in the folder. The public key of a pair is
/// next to it, with `.pub` added.
pub fn keygen(folder: &Path, algorithm: &str) -> String {
    let path = folder.join(algorithm).to_str().expect("a path in UTF-8").to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["keygen", "--algorithm", algorithm, "--out", &path])
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    path
}

/// The output of `openssl` for this input; arguments are separated by spaces.
pub fn openssl(arguments: &str, input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
