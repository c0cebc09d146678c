//! No two files of `src/` import each other, directly or indirectly, so that each can be read
//! without those that use it.
//!
//! A name counts for the file that defines it, not for modules that re-export it. Declaring a child
//! module is not an import. Tests may import what they test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The path of a module from the crate root; empty for the root itself.
type Module = Vec<String>;

/// A file of the program, without its tests.
#[derive(Default)]
struct File {
    tokens: Vec<String>,
    /// Its `use` declarations: the local name, and its path.
    imports: Vec<(String, Vec<String>)>,
    children: BTreeSet<String>,
}

#[test]
fn no_two_files_import_each_other() {
    let files = read_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 100, "{}", files.len());
    let cycles = cycles(&edges(&files));
    assert!(cycles.is_empty(), "files that import each other:\n{}", cycles.join("\n"));
}

#[test]
fn cycles_are_found_through_re_exports_and_paths() {
    let file = |text: &str| parse(text);
    let module = |path: &str| -> Module {
        path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let found = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(path, text)| (module(path), file(text))).collect();
        cycles(&edges(&files))
    };
    let root = ("", "mod a; mod b;");
    let used = "use crate::a::A; struct B(A);";
    assert_eq!(found(&[root, ("a", "struct A;"), ("b", used)]).len(), 0);
    assert_eq!(
        found(&[root, ("a", "use super::b::{self as c, B}; struct A(B);"), ("b", used)]).len(),
        1
    );
    assert_eq!(found(&[root, ("a", "struct A; fn f() { crate::b::g() }"), ("b", used)]).len(), 1);
    assert_eq!(
        found(&[root, ("a", "#[cfg(test)] mod t { use crate::b::B; }"), ("b", used)]).len(),
        0
    );
    assert_eq!(found(&[root, ("a", "struct A; // crate::b::B"), ("b", used)]).len(), 0);
    let child = ("a::c", "use super::A; struct C(A);");
    assert_eq!(found(&[root, ("a", "mod c; pub use c::C; struct A;"), child]).len(), 0);
    assert_eq!(found(&[root, ("a", "mod c; struct A; fn f() { c::g() }"), child]).len(), 1);
    let through = ("b", "use crate::a::C; struct B(C);");
    assert_eq!(
        found(&[
            root,
            ("a", "mod c; pub use c::C; use crate::b::B; struct A(B);"),
            ("a::c", "struct C;"),
            through
        ])
        .len(),
        0
    );
}

/// All files except those built only for tests.
fn read_files(source: &Path) -> BTreeMap<Module, File> {
    let mut files = BTreeMap::new();
    let mut open: Vec<(Module, PathBuf)> = vec![(Vec::new(), source.join("lib.rs"))];
    while let Some((module, path)) = open.pop() {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = parse(&text);
        for child in &file.children {
            let child = [&module[..], std::slice::from_ref(child)].concat();
            let path = source.join(child.join("/")).with_extension("rs");
            // Otherwise it is an inline module.
            if path.exists() {
                open.push((child, path));
            }
        }
        files.insert(module, file);
    }
    files
}

fn parse(text: &str) -> File {
    let tokens = without_tests(&tokens(text));
    let mut file = File::default();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "use" if tokens[at + 1] != "<" => {
                let end = at + tokens[at..].iter().position(|token| token == ";").unwrap();
                let mut rest = &tokens[at + 1..end];
                tree(&mut rest, &[], &mut file.imports);
                at = end;
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token == ";") => {
                file.children.insert(tokens[at + 1].clone());
                at += 2;
            }
            token => file.tokens.push(token.to_owned()),
        }
        at += 1;
    }
    file
}

/// Names and punctuation; no comments, strings, characters or lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        if rest.starts_with("//") {
            length = rest.find('\n').unwrap_or(rest.len());
        } else if let Some(hashes) = raw_text(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = rest.find('"').unwrap() + 1;
            length = start + rest[start..].find(&end).unwrap() + end.len();
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            length = end.unwrap() + 2;
        } else if first == '\'' {
            // `'a'`, `'\''`, `'\u{1F}'`; otherwise a lifetime.
            let text: Vec<char> = rest.chars().take(3).collect();
            if text.get(1) == Some(&'\\') {
                length = 3 + rest[3..].find('\'').unwrap() + 1;
            } else if text.get(2) == Some(&'\'') {
                length = text.iter().map(|c| c.len_utf8()).sum();
            }
        } else if first.is_alphanumeric() || first == '_' {
            length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
        } else if rest.starts_with("::") {
            length = 2;
            tokens.push("::".to_owned());
        } else if !first.is_whitespace() {
            tokens.push(first.to_string());
        }
        rest = &rest[length..];
    }
    tokens
}

/// The number of hashes if a raw string starts here.
fn raw_text(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let behind = hashes.trim_start_matches('#');
    behind.starts_with('"').then_some(hashes.len() - behind.len())
}

/// Without the items under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if !tokens[at..].iter().map(String::as_str).take(mark.len()).eq(mark) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0;
        loop {
            at += 1;
            match tokens.get(at).map(String::as_str) {
                Some("{") => depth += 1,
                Some("}") => depth -= 1,
                Some(";") if depth == 0 => break,
                None => break,
                _ => continue,
            }
            if depth == 0 {
                break;
            }
        }
        at += 1;
    }
    kept
}

/// Reads the tree after `use`: `a::{self, b as c, d::*}`.
fn tree(rest: &mut &[String], before: &[String], imports: &mut Vec<(String, Vec<String>)>) {
    let mut path = before.to_vec();
    // There is nothing between a last comma and its brace.
    let mut is_empty = true;
    while let Some((token, behind)) = rest.split_first() {
        is_empty &= ["}", ","].contains(&token.as_str());
        match token.as_str() {
            "}" | "," => break,
            "::" => *rest = behind,
            "{" => {
                *rest = behind;
                loop {
                    tree(rest, &path, imports);
                    let (mark, behind) = rest.split_first().unwrap();
                    *rest = behind;
                    if mark == "}" {
                        return;
                    }
                }
            }
            "as" => {
                *rest = &behind[1..];
                imports.push((behind[0].clone(), path));
                return;
            }
            name => {
                *rest = behind;
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
            }
        }
    }
    if let Some(last) = path.last().filter(|_| !is_empty) {
        imports.push((last.clone(), path.clone()));
    }
}

/// The imports from file to file, with the imported name.
fn edges(files: &BTreeMap<Module, File>) -> BTreeMap<&Module, BTreeMap<&Module, String>> {
    let mut edges: BTreeMap<&Module, BTreeMap<&Module, String>> = BTreeMap::new();
    for (module, file) in files {
        let of_file = edges.entry(module).or_default();
        let mut paths: Vec<&[String]> = Vec::new();
        for (name, path) in &file.imports {
            // A name that is only re-exported is not an import.
            if name == "_" || name == "*" || file.tokens.contains(name) {
                paths.push(path);
            }
        }
        let inline = inline_paths(&file.tokens);
        paths.extend(inline.iter().map(Vec::as_slice));
        for path in paths {
            if let Some(target) = resolve(files, module, path, 0).filter(|target| *target != module)
            {
                of_file.entry(target).or_insert_with(|| path.join("::"));
            }
        }
    }
    edges
}

/// Every `a::b::c` in the code.
fn inline_paths(tokens: &[String]) -> Vec<Vec<String>> {
    let (mut paths, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let mut path = vec![tokens[at].clone()];
        while tokens.get(at + 1).is_some_and(|token| token == "::")
            && tokens.get(at + 2).is_some_and(|token| token != "<" && token != "{")
        {
            path.push(tokens[at + 2].clone());
            at += 2;
        }
        if path.len() > 1 {
            paths.push(path);
        }
        at += 1;
    }
    paths
}

/// The file that defines the target of a path in `module`; None for other crates and for a module
/// itself.
fn resolve<'a>(
    files: &'a BTreeMap<Module, File>,
    module: &Module,
    path: &[String],
    depth: usize,
) -> Option<&'a Module> {
    assert!(depth < 20, "{path:?}");
    let (first, mut rest) = path.split_first()?;
    let mut here = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => {
            rest = path;
            module.clone()
        }
    };
    while let Some((name, behind)) = rest.split_first() {
        let child = [&here[..], std::slice::from_ref(name)].concat();
        if name == "super" {
            here.pop();
        } else if files.contains_key(&child) {
            here = child;
        } else {
            let import =
                files[&here].imports.iter().find(|(known, to)| known == name && to[0] != *name);
            if let Some((_, to)) = import {
                let onward = [to, behind].concat();
                return resolve(files, &here, &onward, depth + 1);
            }
            // A name of another crate counts as a name of this file, which adds no edge.
            return files.get_key_value(&here).map(|(key, _)| key);
        }
        rest = behind;
    }
    None
}

/// Each cycle of files, with its imports.
fn cycles(edges: &BTreeMap<&Module, BTreeMap<&Module, String>>) -> Vec<String> {
    let reach = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(module) = open.pop() {
            for next in edges[module].keys() {
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        edges.keys().map(|module| (*module, reach(module))).collect();
    let mut told = BTreeSet::new();
    let mut cycles = Vec::new();
    for (module, seen) in &reached {
        if !seen.contains(module) || told.contains(module) {
            continue;
        }
        let knot: Vec<&Module> =
            seen.iter().filter(|other| reached[**other].contains(module)).copied().collect();
        told.extend(knot.iter().copied());
        let mut lines = Vec::new();
        for from in &knot {
            for (to, path) in edges[*from].iter().filter(|(to, _)| knot.contains(to)) {
                lines.push(format!("  {} -> {} ({path})", from.join("::"), to.join("::")));
            }
        }
        cycles.push(lines.join("\n"));
    }
    cycles
}
