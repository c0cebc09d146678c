//! The core uses no sockets, clock, proxy framework or metrics.

use std::path::{Path, PathBuf};

const FOREIGN: &[&str] = &[
    "pingora",
    "tokio",
    "prometheus",
    "std::net",
    "std::os",
    "std::fs",
    "std::env",
    "SystemTime",
    "Instant",
    "clock::now",
    "metrics",
    "log::",
    "println!",
    "proxy",
    "server",
    "config",
];

/// Every source file of the program.
fn every_file() -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut directories) = (Vec::new(), vec![source]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Every file of the core.
fn core() -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = ["session", "keys", "routes", "store/record", "store/circuit"];
    let mut files = rooms.map(room).concat();
    // These read and watch files.
    let io = ["keys/source.rs", "keys/reload.rs"];
    files.retain(|file| !io.iter().any(|io| file.ends_with(io)));
    files.retain(|file| !file.starts_with(source.join("keys/source")));
    files
}

/// Every file of a module: `src/NAME.rs` and the files in `src/NAME/`.
fn room(name: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let prefix = source.join(name);
    let mut files = every_file();
    files.retain(|file| file.starts_with(&prefix) || *file == prefix.with_extension("rs"));
    files
}

/// Callers can distinguish errors, and each message is defined once.
#[test]
fn errors_are_types() {
    let mut found = Vec::new();
    for file in every_file() {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            if gives_a_sentence(line) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.len() <= 5, "String as an error:\n{}", found.join("\n"));
}

#[test]
fn an_error_that_is_a_sentence_is_seen() {
    for (line, expected) in [
        ("fn f() -> Result<(), String> {", true),
        (") -> Option<Result<Vec<(u8, u8)>, String>> {", true),
        ("type Err = String;", true),
        ("fn f() -> Result<String, Error> {", false),
        ("fn f() -> io::Result<String> {", false),
        ("fn f() -> Result<(), Vec<(usize, Error)>> {", false),
    ] {
        assert_eq!(gives_a_sentence(line), expected, "{line}");
    }
}

fn gives_a_sentence(line: &str) -> bool {
    let error = |after: &str| {
        let mut depth = 1;
        let end = after.find(|c| {
            depth += i32::from("<([".contains(c)) - i32::from(">)]".contains(c));
            depth == 0
        });
        let (_, error) = after[..end.unwrap_or(after.len())].rsplit_once(", ")?;
        Some(error == "String")
    };
    let results = line.split("Result<").skip(1);
    line.contains("Err = String") || results.filter_map(error).any(|is_string| is_string)
}

#[test]
fn visit_names_no_proxy_framework() {
    let files = room("visit");
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            let code = line.split("//").next().unwrap_or_default();
            assert!(!names(code, "pingora"), "{}: {line}", file.display());
        }
    }
}

#[test]
fn core_is_pure() {
    let mut found = Vec::new();
    let files = core();
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for foreign in FOREIGN {
                let words = foreign.contains("::") || foreign.contains('!');
                let named = if words { code.contains(foreign) } else { names(code, foreign) };
                if named {
                    found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "not pure:\n{}", found.join("\n"));
}

/// Whether a path in `code` uses a crate or module with this name.
fn names(code: &str, name: &str) -> bool {
    let code = code.trim();
    let path = |separator: &str| {
        code.match_indices(name).any(|(at, _)| {
            let behind = code[at + name.len()..]
                .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            let before = code[..at].chars().next_back();
            behind.starts_with(separator) && before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    };
    path("::") || (code.starts_with("use ") && path(";"))
}
