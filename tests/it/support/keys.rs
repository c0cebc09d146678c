//! Keys made by the product's own `keygen`, and by `openssl` where they have to be strange.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a key for the algorithm: its path in the folder. The public key of a pair is beside it,
/// with `.pub` at the end.
pub fn keygen(folder: &Path, algorithm: &str) -> String {
    let path = folder.join(algorithm).to_str().expect("a path in UTF-8").to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["keygen", "--algorithm", algorithm, "--out", &path])
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    path
}

/// What `openssl` writes, given that on standard input; arguments are parted by spaces.
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
