//! The position of a value, and its name in messages.

/// The subject of a fault: a key in the file, or a flag that overrides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Place {
    pub(super) path: String,
    pub(super) line: usize,
}

impl Place {
    /// A command-line flag.
    pub(in crate::config) fn flag(flag: &str) -> Self {
        Self { path: flag.to_owned(), line: 0 }
    }

    /// The whole file.
    pub(super) fn file() -> Self {
        Self { path: String::new(), line: 1 }
    }

    /// The key as in messages: `cookie.same_site`, `keys[1].secret_file`.
    pub(in crate::config) fn path(&self) -> &str {
        &self.path
    }

    /// The line, from 1.
    pub(in crate::config) fn line(&self) -> usize {
        self.line
    }

    /// An element of this array. Counted from 1, as keys are in metrics and logs.
    pub(super) fn element(&self, index: usize, line: usize) -> Self {
        Self { path: format!("{}[{}]", self.path, index + 1), line }
    }
}

/// The path of a key, quoted if TOML requires it.
pub(in crate::config) fn join(table: &str, key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let quoted = key.is_empty() || !key.bytes().all(bare);
    let key = if quoted { format!("{key:?}") } else { key.to_owned() };
    if table.is_empty() { key } else { format!("{table}.{key}") }
}

/// `keys[]` for `keys[1]`.
pub(in crate::config) fn numberless(table: &str) -> String {
    match table.split_once('[') {
        Some((array, _)) if table.ends_with(']') => format!("{array}[]"),
        _ => table.to_owned(),
    }
}
