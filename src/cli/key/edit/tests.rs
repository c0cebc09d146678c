use proptest::prelude::*;

use super::*;

const NEW: [(&str, &str); 2] = [("id", "new"), ("secret_file", "/new")];

/// The ids of the keys, in order.
fn ids(text: &str) -> Vec<String> {
    let tree: toml::Table = text.parse().unwrap();
    let keys = tree["keys"].as_array().unwrap();
    keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_comment_directly_above_a_key_stays_with_it_and_others_stay_at_the_top() {
    let text = "\
listen = \"a\" # here

# The first signs.

# Made on a Monday.
[[keys]] # one
id = \"a\" # its name

[cookie]
";
    let expected = "\
listen = \"a\" # here

# The first signs.

[[keys]]
id = \"new\"
secret_file = \"/new\"

# Made on a Monday.
[[keys]] # one
id = \"a\" # its name

[cookie]
";
    assert_eq!(put_first(text, &NEW).unwrap(), expected);
    assert_eq!(remove(expected, 0).unwrap(), text);
}

#[test]
fn the_last_place_is_before_what_follows() {
    let text = "[[keys]]\nid = \"a\"\n# of a\n\n# all else\n\n# of b\n[b]\n";
    let expected = "[[keys]]\nid = \"a\"\n# of a\n\n[[keys]]\nid = \"new\"\n\
                    secret_file = \"/new\"\n\n# all else\n\n# of b\n[b]\n";
    assert_eq!(put_last(text, &NEW).unwrap(), expected);
    let unfinished = "[[keys]]\nid = \"a\"";
    let expected = "[[keys]]\nid = \"a\"\n\n[[keys]]\nid = \"new\"\nsecret_file = \"/new\"\n";
    assert_eq!(put_last(unfinished, &NEW).unwrap(), expected);
    assert_eq!(remove(expected, 1).unwrap(), "[[keys]]\nid = \"a\"\n");
}

#[test]
fn a_key_moves_with_its_comments() {
    let text = "x = 1\n# of a\n[[keys]]\nid = \"a\"\n# of b\n[[keys]]\nid = \"b\"\n# too";
    let expected = "x = 1\n# of b\n[[keys]]\nid = \"b\"\n# too\n\n# of a\n[[keys]]\nid = \"a\"\n";
    assert_eq!(move_first(text, 1).unwrap(), expected);
    assert_eq!(move_first(text, 0).unwrap(), text);
}

#[test]
fn odd_formatting_is_understood() {
    // A byte order mark, DOS line ends, indents, quotes, separate keys, and headers in a string.
    let text = "\u{feff}# of a\r\n  [[ \"keys\" ]]\r\n  id='a'\r\n\r\n[s]\r\nx = '''\r\n# y\r\n[[keys]]\r\n# z'''\r\n\
                \t[[keys]]\r\nid = \"\"\"b\"\"\"\r\nn = [\r\n  1, # one\r\n]\r\n[t]";
    assert_eq!(ids(text), ["a", "b"]);
    let put = put_first(text, &NEW).unwrap();
    let table = "[[keys]]\r\nid = \"new\"\r\nsecret_file = \"/new\"\r\n";
    assert_eq!(put, format!("\u{feff}{table}\r\n{}", &text[3..]));
    let put = put_last(text, &NEW).unwrap();
    assert_eq!(put, text.replace("\r\n[t]", &format!("\r\n\r\n{table}[t]")));
    let b = "\t[[keys]]\r\nid = \"\"\"b\"\"\"\r\nn = [\r\n  1, # one\r\n]\r\n";
    assert_eq!(remove(text, 1).unwrap(), text.replace(b, ""));
    let rest = text.replace(b, "");
    assert_eq!(move_first(text, 1).unwrap(), format!("\u{feff}{b}\r\n{}", &rest[3..]));
}

#[test]
fn values_are_quoted() {
    let id = "a\"b\\c\u{e4}";
    let text = put_first("[[keys]]\nid = \"a\"\n", &[("id", id)]).unwrap();
    assert_eq!(ids(&text), [id, "a"]);
}

#[test]
fn what_cannot_be_edited_is_refused() {
    for text in ["keys = [{ id = \"a\" }]", "keys = []", "", "[[keys]", "keys = 1"] {
        assert!(put_first(text, &NEW).is_err(), "{text}");
    }
    assert!(remove("[[keys]]\nid = \"a\"\n", 1).unwrap_err().to_string().contains("keys[2]"));
}

#[test]
fn not_before_is_set_however_session_is_written() {
    const NOW: &str = "2026-11-29T10:00:00Z";
    for (text, expected) in [
        ("x = 1", "x = 1\n\n[session]\nnot_before = NOW\n"),
        ("x = 1\r\n", "x = 1\r\n\r\n[session]\r\nnot_before = NOW\r\n"),
        ("[session]", "[session]\nnot_before = NOW\n"),
        ("[session] # a\nttl = 1 # b\n", "[session] # a\nnot_before = NOW\nttl = 1 # b\n"),
        (
            "\u{feff}[ \"session\" ]\r\n\r\n[b]",
            "\u{feff}[ \"session\" ]\r\nnot_before = NOW\r\n\r\n[b]",
        ),
        ("[session]\nnot_before = 2026-01-01T00:00:00Z # a\n", "[session]\nnot_before = NOW # a\n"),
        ("[session]\n'not_before' = 'x'\n[b]\n", "[session]\n'not_before' = NOW\n[b]\n"),
        ("session = {}\n", "session = { not_before = NOW }\n"),
        ("session = { ttl = 1 }\n", "session = { not_before = NOW, ttl = 1 }\n"),
        ("session = { not_before = 'x', a = 1 }\n", "session = { not_before = NOW, a = 1 }\n"),
        (
            "a = 1\nsession.ttl = 1\n[b]\n",
            "a = 1\nsession.not_before = NOW\nsession.ttl = 1\n[b]\n",
        ),
        ("session.not_before = 1\nb = 2", "session.not_before = NOW\nb = 2"),
        (
            "# not_before = 1\n[b]\nnot_before = 2\n",
            "# not_before = 1\n[b]\nnot_before = 2\n\n[session]\nnot_before = NOW\n",
        ),
    ] {
        let expected = expected.replace("NOW", &format!("\"{NOW}\""));
        assert_eq!(set_not_before(text, NOW).unwrap(), expected, "{text}");
    }
    for text in ["session = 1\n", "[[session]]\n", "[session.a]\nb = 1\n", "[session"] {
        assert!(set_not_before(text, NOW).is_err(), "{text}");
    }
}

/// A file with a few tables, including keys, and with comments and blank lines anywhere.
fn file() -> impl Strategy<Value = (String, usize)> {
    let rest = prop_oneof![Just("# c"), Just("  # [[keys]]"), Just(""), Just("  "), Just("#")];
    let rest = || prop::collection::vec(rest.clone(), 0..4);
    let table = (rest(), any::<bool>(), rest(), rest());
    let tables = prop::collection::vec(table, 1..6);
    (rest(), tables, any::<bool>(), any::<bool>()).prop_filter_map(
        "has a key",
        |(top, tables, dos, finished)| {
            let mut lines: Vec<String> = top.iter().map(|line| (*line).to_owned()).collect();
            let mut keys = 0;
            for (number, (above, is_key, inside, below)) in tables.iter().enumerate() {
                let own = |line: &&str| match line.trim() {
                    "" => (*line).to_owned(),
                    _ => format!("{line} {number}"),
                };
                lines.extend(above.iter().map(own));
                keys += usize::from(*is_key);
                lines.push(if *is_key { "[[keys]]".into() } else { format!("[t{number}]") });
                lines.extend(inside.iter().map(own));
                lines.push(format!("id = \"k{number}\" # id"));
                lines.extend(below.iter().map(own));
            }
            let end = if dos { "\r\n" } else { "\n" };
            let last = if finished { end } else { "" };
            (keys > 0).then(|| (lines.join(end) + last, keys))
        },
    )
}

/// Lines that are not blank.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.trim().is_empty()).collect()
}

proptest! {
    #[test]
    fn all_else_stays_byte_for_byte((text, keys) in file()) {
        let end = line_end(&text);
        let table = table(&NEW, end);
        let own = ids(&text);

        let first = put_first(&text, &NEW).unwrap();
        prop_assert_eq!(first.replacen(&format!("{table}{end}"), "", 1), &text[..]);
        prop_assert_eq!(&ids(&first)[1..], &own[..]);
        prop_assert_eq!(remove(&first, 0).unwrap(), &text[..]);

        let last = put_last(&text, &NEW).unwrap();
        let (before, after) = last.split_once(&table).unwrap();
        let mut rest = before.strip_suffix(end).unwrap().to_owned();
        rest.push_str(after);
        // A last line without a line end gets one.
        prop_assert_eq!(rest.strip_prefix(&text[..]).unwrap().replace(end, ""), "");
        prop_assert_eq!(&ids(&last)[..keys], &own[..]);

        // No table is called session, so it is added at the end.
        let moment = "2026-11-29T10:00:00Z";
        let set = set_not_before(&text, moment).unwrap();
        let added = set.strip_prefix(&text[..]).unwrap();
        prop_assert_eq!(lines(added), ["[session]", "not_before = \"2026-11-29T10:00:00Z\""]);
        prop_assert_eq!(ids(&set), &own[..]);
        for number in 0..6 {
            // A comment may look like a table header.
            let header = format!("{end}[t{number}]{end}");
            let renamed = text.replacen(&header, &format!("{end}[session]{end}"), 1);
            if renamed != text {
                let set = set_not_before(&renamed, moment).unwrap();
                let line = format!("not_before = \"{moment}\"");
                let kept: Vec<&str> = set.lines().filter(|own| *own != line).collect();
                prop_assert_eq!(kept, renamed.lines().collect::<Vec<&str>>());
                prop_assert_eq!(set.lines().count(), renamed.lines().count() + 1);
                let again = set_not_before(&set, "2027-01-01T00:00:00Z").unwrap();
                prop_assert_eq!(again, set.replace("2026-11-29T10", "2027-01-01T00"));
            }
        }

        for index in 0..keys * usize::from(keys > 1) {
            let place = nth(&text, index).unwrap();
            let mut others = own.clone();
            let id = others.remove(index);
            let rest = remove(&text, index).unwrap();
            prop_assert_eq!(&ids(&rest), &others);
            let (before, after) = (&text[..place.lines.start], &text[place.lines.end..]);
            prop_assert_eq!(lines(&rest), [lines(before), lines(after)].concat());

            let moved = move_first(&text, index).unwrap();
            others.insert(0, id);
            prop_assert_eq!(ids(&moved), others);
            let (mut now, mut then) = (lines(&moved), lines(&text));
            now.sort_unstable();
            then.sort_unstable();
            prop_assert_eq!(now, then);
            if index > 0 {
                // Everything except the moved table keeps its order.
                let back = remove(&moved, 0).unwrap();
                prop_assert_eq!(lines(&back), lines(&rest));
            }
        }
    }
}
