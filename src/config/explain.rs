//! Explains a configuration key from `config/cloakroom.toml`: its comment, its default or an
//! example, and links to the documentation. There is no other list of keys to maintain.

use std::fmt::{self, Display, Formatter};

use super::nearest::near;
use super::reader::place::numberless;

const SAMPLE: &str = include_str!("../../config/cloakroom.toml");

/// In the comment of a required key; its value in the sample is an example.
const REQUIRED: &str = "Has no default.";

/// The page for keys whose comment and table name no page.
const EVERY_KEY: &str = "docs/configuration.md";

/// The table whose keys are header names chosen by the operator.
const CLAIMS: &str = "headers.claims";

/// A key or table of the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `session.ttl`, `routes.path`, `listen`.
    path: String,
    comment: Vec<&'static str>,
    /// Its lines in a configuration; for a table, its header.
    lines: Vec<&'static str>,
    /// Whether `lines` show the default.
    is_default: bool,
    is_table: bool,
}

/// Explains `key`: `session.ttl`, `[session]`, `keys[1].id`, or only the last part, which may match
/// several keys.
///
/// # Errors
/// The key is unknown; suggests similar ones.
pub(crate) fn explain(key: &str) -> Result<String, Unknown> {
    let entries = entries();
    let wanted = without_numbers(key);
    let found = find(&entries, &wanted);
    if found.is_empty() {
        return Err(unknown(key, &wanted, &entries));
    }
    let told: Vec<String> =
        found.iter().map(|entry| Explained { entry, entries: &entries }.to_string()).collect();
    Ok(told.join("\n"))
}

fn find<'a>(entries: &'a [Entry], wanted: &str) -> Vec<&'a Entry> {
    // In this table the operator chooses the names.
    let wanted = match wanted.strip_prefix(CLAIMS) {
        Some(header) if header.starts_with('.') => CLAIMS,
        _ => wanted,
    };
    let whole = entries.iter().find(|entry| entry.path == wanted);
    match whole {
        Some(entry) => vec![entry],
        None => entries.iter().filter(|entry| entry.last() == wanted).collect(),
    }
}

/// Unknown key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    key: String,
    near: Option<String>,
    tables: Vec<String>,
}

impl Display for Unknown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { key, near, tables } = self;
        match near {
            Some(near) => write!(f, "unknown key {key}; did you mean {near}?"),
            None => write!(
                f,
                "unknown key {key}; --explain with one of these lists the keys of a table: {}",
                tables.join(", ")
            ),
        }
    }
}

fn unknown(key: &str, wanted: &str, entries: &[Entry]) -> Unknown {
    let nearest = entries
        .iter()
        .filter_map(|entry| {
            let whole = near(wanted, &entry.path).map(|(distance, _)| distance);
            let last = near(wanted, entry.last()).map(|(distance, _)| distance);
            Some((whole.into_iter().chain(last).min()?, &entry.path))
        })
        .min();
    let tables = entries.iter().filter(|entry| entry.is_table);
    Unknown {
        key: key.to_owned(),
        near: nearest.map(|(_, path)| path.clone()),
        tables: tables.map(|entry| entry.path.clone()).collect(),
    }
}

/// `keys.id` for `[[keys]].id`, `keys[1].id` and `keys[].id`.
fn without_numbers(key: &str) -> String {
    let key = key.trim();
    let key = match key.strip_prefix('[').and_then(|key| key.strip_suffix(']')) {
        Some(table) => table.trim_start_matches('[').trim_end_matches(']'),
        None => key,
    };
    let parts = key.split('.').map(|part| numberless(part).trim_end_matches("[]").to_owned());
    parts.collect::<Vec<_>>().join(".")
}

/// All entries of the sample, in order.
fn entries() -> Vec<Entry> {
    let (mut entries, mut table, mut comment) = (Vec::<Entry>::new(), "", Vec::new());
    for line in SAMPLE.lines() {
        if line.is_empty() {
            comment.clear();
            continue;
        }
        if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
            continue;
        }
        let (is_default, line) = match line.strip_prefix('#') {
            Some(line) => (false, line),
            None => (!comment.iter().any(|text| text.contains(REQUIRED)), line),
        };
        let comment = std::mem::take(&mut comment);
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']);
            let (path, lines) = (table.to_owned(), vec![line]);
            entries.push(Entry { path, comment, lines, is_default, is_table: true });
        } else if table == CLAIMS {
            // Examples of the table, with their comments.
            if let Some(entry) = entries.last_mut() {
                entry.comment.extend(comment);
                entry.lines.push(line);
            }
        } else if let Some((key, _)) = line.split_once(" = ") {
            let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
            entries.push(Entry { path, comment, lines: vec![line], is_default, is_table: false });
        }
    }
    entries
}

impl Entry {
    fn last(&self) -> &str {
        self.path.rsplit_once('.').map_or(&self.path, |(_, last)| last)
    }

    fn table(&self) -> &str {
        if self.is_table { &self.path } else { self.path.rsplit_once('.').map_or("", |(it, _)| it) }
    }

    /// The pages named in its comment.
    fn pages(&self) -> impl Iterator<Item = &'static str> {
        let words = self.comment.iter().flat_map(|line| line.split_whitespace());
        words
            .map(|word| word.trim_end_matches(['.', ',', ':', ';']))
            .filter(|word| word.starts_with("docs/"))
    }
}

/// An entry with its context.
struct Explained<'a> {
    entry: &'a Entry,
    entries: &'a [Entry],
}

impl Explained<'_> {
    fn head(&self) -> Option<&Entry> {
        self.entries.iter().find(|other| other.is_table && other.path == self.entry.table())
    }

    fn pages(&self) -> Vec<&'static str> {
        let own: Vec<&str> = self.entry.pages().collect();
        if !own.is_empty() {
            return own;
        }
        let of_table: Vec<&str> = self.head().into_iter().flat_map(Entry::pages).collect();
        if of_table.is_empty() { vec![EVERY_KEY] } else { of_table }
    }
}

impl Display for Explained<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { entry, entries } = self;
        writeln!(f, "{}\n", entry.path)?;
        for line in &entry.comment {
            writeln!(f, "  {line}")?;
        }
        writeln!(f)?;
        if entry.is_table && entry.path != CLAIMS {
            let keys = entries.iter().filter(|it| !it.is_table && it.table() == entry.path);
            let keys: Vec<&str> = keys.map(Entry::last).collect();
            writeln!(f, "Keys:    {}", keys.join(", "))?;
        } else {
            let what = if entry.is_default { "Default:" } else { "Example:" };
            let mut lines = entry.lines.iter();
            let head = self.head().filter(|_| !entry.is_table);
            let first = head.map(|head| head.lines[0]).or_else(|| lines.next().copied());
            writeln!(f, "{what} {}", first.unwrap_or_default())?;
            for line in lines {
                writeln!(f, "         {line}")?;
            }
        }
        writeln!(f, "More:    {}", self.pages().join(", "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_key_has_its_meaning_its_default_or_an_example_and_a_page() {
        assert_eq!(
            explain("cookie.same_site").unwrap(),
            "cookie.same_site\n\n  Which requests from other sites it is sent with: \"strict\", \"lax\", \
             \"none\" or \"unset\".\n\nDefault: [cookie]\n         same_site = \"lax\"\nMore:    \
             docs/security.md\n"
        );
        let ttl = explain("session.ttl").unwrap();
        assert!(ttl.contains("Example: [session]\n         ttl = \"14d\"\n"), "{ttl}");
        // A required key has a value in the sample too.
        assert!(explain("backend").unwrap().starts_with("backend\n"));
        assert!(
            explain("backend").unwrap().contains(
                "Example: backend = \"http://app:5000\"\nMore:    docs/configuration.md\n"
            )
        );
        assert!(explain("keys.secret_file").unwrap().contains("Example: [[keys]]\n"));
        assert!(explain("socket_mode").unwrap().contains("Default: socket_mode = \"0666\"\n"));
    }

    #[test]
    fn a_key_can_be_written_in_several_ways() {
        let id = explain("keys.id").unwrap();
        for key in ["keys[1].id", "keys[].id", " keys.id "] {
            assert_eq!(explain(key).unwrap(), id, "{key}");
        }
        // By its last part: every match.
        assert_eq!(explain("same_site"), explain("cookie.same_site"));
        let timeouts = explain("timeout").unwrap();
        assert!(timeouts.starts_with("store.timeout\n"), "{timeouts}");
        assert!(timeouts.contains("\nhealth_check.timeout\n"), "{timeouts}");
    }

    #[test]
    fn a_table_lists_its_keys() {
        for table in ["store", "[store]"] {
            let told = explain(table).unwrap();
            assert!(told.contains("Keys:    url, topology, master, "), "{told}");
        }
        assert!(explain("[[routes]]").unwrap().contains("Keys:    path, methods, session, "));
        let claims = explain("headers.claims").unwrap();
        assert_eq!(explain("headers.claims.X-Remote-User").unwrap(), claims);
        assert!(claims.contains("         X-Remote-User = \"user.name\"\n"), "{claims}");
    }

    #[test]
    fn of_an_unknown_key_the_nearest_is_named() {
        for (key, expected) in [
            ("sesion.ttl", "unknown key sesion.ttl; did you mean session.ttl?"),
            ("sameSite", "unknown key sameSite; did you mean cookie.same_site?"),
            ("routs", "unknown key routs; did you mean routes?"),
            ("keys[1].idd", "unknown key keys[1].idd; did you mean keys.id?"),
        ] {
            assert_eq!(explain(key).unwrap_err().to_string(), expected);
        }
        let nothing = explain("nothing of the kind").unwrap_err().to_string();
        assert!(nothing.ends_with("table: keys, headers, headers.claims, headers.signature, session, store, cookie, routes, log, admin, tls, backend_tls, health_check, limits, timeouts"), "{nothing}");
    }

    #[test]
    fn each_key_is_explained_and_each_page_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let entries = entries();
        assert!(entries.len() > 100, "{}", entries.len());
        for entry in &entries {
            assert!(!entry.comment.is_empty(), "{}", entry.path);
            assert!(explain(&entry.path).is_ok(), "{}", entry.path);
            for page in entry.pages().chain([EVERY_KEY]) {
                let (file, anchor) = page.split_once('#').unwrap_or((page, ""));
                let text = std::fs::read_to_string(root.join(file)).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let anchors: Vec<String> = headings.map(as_anchor).collect();
                assert!(anchor.is_empty() || anchors.iter().any(|it| it == anchor), "{page}");
            }
        }
    }

    /// The anchor that GitHub makes from a heading.
    fn as_anchor(heading: &str) -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    }
}
