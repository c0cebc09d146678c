//! docs/metrics.md and docs/headers.md match the binary, and the version is the same everywhere.
//! (docs/configuration.md is compared in `src/config/samples.rs`, which knows the keys.)

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Backend, Request, Sidecar, mint};

const METRICS: &str = include_str!("../../docs/metrics.md");
const HEADERS: &str = include_str!("../../docs/headers.md");

/// The cells of each row of the tables below a heading, without the table header.
fn rows(page: &'static str, heading: &str) -> Vec<Vec<&'static str>> {
    let section = page.split_once(&format!("{heading}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// The code spans in a cell.
fn codes(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A family's labels, each with its values.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Every family in `/metrics` at the start, with its type.
fn families(metrics: &str) -> BTreeMap<String, (String, Labels)> {
    let mut families = BTreeMap::new();
    for line in metrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            families.insert(name.to_owned(), (kind.to_owned(), Labels::new()));
        }
    }
    for (series, labels) in metrics.lines().filter_map(|line| line.split_once('{')) {
        let ends = ["_bucket", "_sum", "_count"];
        let base = ends.iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series);
        let (_, known) = families.get_mut(base).unwrap();
        for label in labels.split_once("\"}").unwrap().0.split("\",") {
            let (label, value) = label.split_once("=\"").unwrap();
            if label != "le" {
                known.entry(label.to_owned()).or_default().insert(value.to_owned());
            }
        }
    }
    families
}

#[test]
fn each_metric_is_documented_with_its_type_and_labels() {
    let sidecar = Sidecar::start(&Backend::plain());
    let mut families = families(&sidecar.metrics().text);
    for row in rows(METRICS, "and the dashboard.") {
        let [name, kind, labels, ..] = row[..] else { panic!("{row:?}") };
        let name = codes(name)[0];
        let (real_kind, real) =
            families.remove(name).unwrap_or_else(|| panic!("no {name}, or twice in the table"));
        assert_eq!(kind, real_kind, "{name}");
        // "`use`: `sign`, `verify`" is a label with its values; without values only the label.
        let mut documented = BTreeSet::new();
        let mut label = None;
        for (index, code) in codes(labels).into_iter().enumerate() {
            let behind = labels.split('`').nth(2 * index + 2).unwrap_or_default();
            let is_label = real.contains_key(code);
            if is_label {
                documented.insert(code.to_owned());
                label = behind.starts_with(':').then_some(code);
            } else {
                let label = label.unwrap_or_else(|| panic!("{name} has no label {code}"));
                assert!(real[label].contains(code), "{name}: {label} is never {code}");
            }
        }
        assert_eq!(documented, real.keys().cloned().collect(), "labels of {name}");
        for (label, values) in
            real.iter().filter(|(label, _)| labels.contains(&format!("`{label}`: ")))
        {
            for value in values {
                assert!(codes(labels).contains(&value.as_str()), "{name}: {label} = {value}");
            }
        }
    }
    assert_eq!(families.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "not documented");
}

#[test]
fn each_outcome_is_documented() {
    let sidecar = Sidecar::start(&Backend::plain());
    let families = families(&sidecar.metrics().text);
    let known = &families["cloakroom_session_checks_total"].1["outcome"];
    let documented: Vec<_> =
        rows(METRICS, "## Session outcomes").iter().map(|row| codes(row[0])[0]).collect();
    assert_eq!(documented.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), *known);
    assert_eq!(documented.len(), known.len());
}

#[test]
fn each_header_that_the_app_gets_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of sidecar and app, long enough").unwrap();
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend)
        .top("trusted_proxies = [\"127.0.0.1\"]")
        .log("trace = true")
        .with(&format!(
            "[headers]\nstatus = \"X-Session-Status\"\n[headers.claims]\nX-Claim = \"n\"\n\
             [headers.signature]\nsecret_file = \"{}\"\n",
            secret.display()
        ))
        .start();
    let mut told = BTreeSet::new();
    for request in [Request::get("/"), Request::get("/").with("Forwarded", "for=192.0.2.1")] {
        sidecar.send(&request.session(&mint(r#"{"n":1}"#)));
        told.extend(backend.last().all_names());
    }
    told.retain(|name| !["host", "x-claim"].contains(&name.as_str()));
    let documented: BTreeSet<String> = rows(HEADERS, "## To the app")
        .iter()
        .take_while(|row| row[0] != "header")
        .flat_map(|row| codes(row[0]))
        .filter(|name| !name.starts_with('['))
        .map(str::to_lowercase)
        .collect();
    assert_eq!(documented, told);
}

#[test]
fn each_header_that_is_said_to_be_removed_is() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let table = rows(HEADERS, "## To the app");
    let removed = table.iter().skip_while(|row| row[0] != "header").skip(1);
    let mut names: Vec<String> = removed
        .flat_map(|row| codes(row[0]))
        .filter(|name| name.chars().next().is_some_and(char::is_uppercase) && *name != "Cookie")
        .map(|name| name.replace('*', "Port").trim_end_matches('-').to_owned())
        .collect();
    names.push("X-Session-Other".into());
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        sidecar.send(&Request::get("/").with(&name, "forged"));
        assert!(!backend.last().values(&name).contains(&"forged".to_owned()), "{name}");
    }
}

#[test]
fn the_version_is_the_same_wherever_it_stands() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, text, line) in [
        ("Dockerfile", include_str!("../../Dockerfile"), format!("image.version=\"{version}\"")),
        (
            "deployment.yml",
            include_str!("../../deploy/kubernetes/deployment.yml"),
            format!("image: cloakroom:{version} "),
        ),
        ("CHANGELOG.md", include_str!("../../CHANGELOG.md"), format!("\n## [{version}] - 20")),
        ("upgrading.md", include_str!("../../docs/upgrading.md"), format!(" to {version}.")),
        (
            "fuzz/Cargo.lock",
            include_str!("../../fuzz/Cargo.lock"),
            format!("\"cloakroom\"\nversion = \"{version}\""),
        ),
    ] {
        assert!(text.contains(&line), "{file} has no {line:?}");
    }
}
