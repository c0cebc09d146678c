//! `cloakroom init`: the written files are valid, and existing files are not changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Answer, Backend, Builder, Message};

fn cloakroom(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    command.args(arguments).current_dir(folder).output().unwrap()
}

/// Every file in the folder with its content.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (name(&path), fs::read(&path).unwrap_or_default())).collect()
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn what_it_writes_passes_check_with_every_option() {
    let forms: [&[&str]; 6] = [
        &[],
        &["--backend", "https://shop.example", "--listen", "[::1]:8081"],
        &["--backend", "unix:/run/a \"b\".sock", "--listen", "unix:/run/c.sock"],
        &["--backend", "http://shop:8000", "--compose"],
        &["--backend", "http://localhost:8000", "--compose", "--kubernetes", "--systemd"],
        &["--systemd"],
    ];
    for form in forms {
        let folder = tempfile::tempdir().unwrap();
        let made = cloakroom(folder.path(), &[&["init"], form].concat());
        let said = String::from_utf8(made.stdout).unwrap();
        assert!(made.status.success(), "{form:?}: {}", String::from_utf8_lossy(&made.stderr));
        assert!(made.stderr.is_empty(), "{form:?}");
        for name in content(folder.path()).keys() {
            assert!(said.contains(&format!("\n  {name} ")), "{name}: {said}");
        }
        assert!(said.contains("\nNext"), "{said}");
        let mode = fs::metadata(folder.path().join("session_key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let checked = cloakroom(folder.path(), &["check", "--config", "cloakroom.toml"]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let shown: toml::Table = String::from_utf8(checked.stdout).unwrap().parse().unwrap();
        if let Some(backend) = form.iter().skip_while(|word| **word != "--backend").nth(1) {
            let backend =
                if backend.ends_with("example") { "https://shop.example:443" } else { backend };
            assert_eq!(shown["backend"].as_str(), Some(backend));
        }
    }
}

#[test]
fn the_sidecar_starts_with_it_and_keeps_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":1}"#)]));
    let made = cloakroom(folder.path(), &["init", "--backend", backend.url()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let path = folder.path().join("cloakroom.toml");
    // Use the test's ports and the absolute path of the key, because the sidecar runs elsewhere.
    let config = text(folder.path(), "cloakroom.toml")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9090", "127.0.0.1:0")
        .replace("\"session_key\"", &format!("{:?}", folder.path().join("session_key")));
    fs::write(&path, config).unwrap();
    let sidecar = Builder::new(backend.url()).file(path).start();
    let cookie = |answer: &Message| {
        let set = answer.value("Set-Cookie").unwrap();
        set.split(['=', ';']).nth(1).unwrap().to_owned()
    };
    let token = cookie(&sidecar.get("/", None));
    sidecar.get("/", Some(&token));
    assert_eq!(backend.last().value("X-Session").as_deref(), Some(r#"{"n":1}"#));
    assert!(!sidecar.log().contains("\"level\":\"warn\""), "{}", sidecar.log());
}

#[test]
fn nothing_is_overwritten_and_then_nothing_is_written() {
    let every =
        ["cloakroom.toml", "session_key", "compose.yml", "kubernetes.yml", "cloakroom.service"];
    let init = ["init", "--compose", "--kubernetes", "--systemd"];
    for name in every {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), "mine").unwrap();
        let before = content(folder.path());
        let refused = cloakroom(folder.path(), &init);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{name} exists and is not overwritten")), "{said}");
        assert_eq!(content(folder.path()), before);
    }
    // Every existing file is named, even a dangling symlink.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yml"), "mine").unwrap();
    symlink("nowhere", folder.path().join("session_key")).unwrap();
    let said = String::from_utf8(cloakroom(folder.path(), &init).stderr).unwrap();
    assert!(said.contains("session_key, compose.yml exist and are not overwritten"), "{said}");
    assert_eq!(content(folder.path()).len(), 2);
}

#[test]
fn what_a_deployment_cannot_reach_is_refused_with_what_to_do() {
    for (arguments, reason) in [
        (
            ["--compose", "--backend", "http://192.0.2.1:80"],
            "expected a name, such as http://app:80",
        ),
        (["--compose", "--backend", "unix:/run/app.sock"], "compose.unix-socket.yml"),
        (["--compose", "--listen", "unix:/run/c.sock"], "such as 127.0.0.1:8080"),
        (
            ["--kubernetes", "--backend", "http://app:5001"],
            "http://127.0.0.1:5001 instead of http://app:5001",
        ),
        (["--kubernetes", "--backend", "unix:/run/app.sock"], "http://127.0.0.1:5000"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let refused = cloakroom(folder.path(), &[&["init"], &arguments[..]].concat());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(content(folder.path()).is_empty());
    }
}

#[test]
fn the_manifests_look_for_the_files_that_are_written() {
    let folder = tempfile::tempdir().unwrap();
    cloakroom(
        folder.path(),
        &["init", "--kubernetes", "--systemd", "--backend", "http://127.0.0.1:8000"],
    );
    let manifests = text(folder.path(), "kubernetes.yml");
    for line in [
        "          workingDir: /etc/cloakroom\n",
        "            - { name: cloakroom, mountPath: /etc/cloakroom, readOnly: true }\n",
        "              - configMap: { name: shop-cloakroom }\n",
        "              - secret: { name: shop-cloakroom }\n",
        "            - { name: PORT, value: \"8000\" }\n",
    ] {
        assert!(manifests.contains(line), "{line}{manifests}");
    }
    assert!(!manifests.contains("/run/secrets"), "{manifests}");
    assert!(text(folder.path(), "cloakroom.toml").contains("listen = \"0.0.0.0:9090\""));
    assert!(
        text(folder.path(), "cloakroom.service").contains("\nWorkingDirectory=/etc/cloakroom\n")
    );
}

#[test]
fn compose_joins_the_app_on_loopback_and_shares_a_network_with_a_service() {
    for (backend, published, app) in
        [("http://127.0.0.1:5000", "app", "app"), ("http://shop:8000", "cloakroom", "shop")]
    {
        let folder = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:8090";
        cloakroom(folder.path(), &["init", "--compose", "--backend", backend, "--listen", listen]);
        let file = text(folder.path(), "compose.yml");
        let services: Vec<&str> = file.split("\n  ").collect();
        assert!(!file.contains('{') || !file.contains("{app"), "{file}");
        let of = |name: &str| {
            let start = file.find(&format!("\n  {name}:\n")).unwrap();
            let rest = &file[start + 3..];
            rest.find("\n  # Your app").map_or(rest, |end| &rest[..end]).to_owned()
        };
        assert!(of(published).contains("ports: [\"127.0.0.1:8090:8080\"]"), "{file}");
        assert_eq!(file.matches("ports:").count(), 1, "{file}");
        assert!(services.iter().any(|part| part.starts_with(&format!("{app}:"))), "{file}");
        assert!(text(folder.path(), "cloakroom.toml").contains("listen = \"0.0.0.0:8080\""));
        parsed_by_compose(folder.path());
    }
}

/// Checked by Compose itself, if it is installed.
fn parsed_by_compose(folder: &Path) {
    let plugin = Command::new("docker").args(["compose", "version"]).output();
    let mut command = match (plugin, Command::new("docker-compose").arg("version").output()) {
        (Ok(output), _) if output.status.success() => {
            let mut docker = Command::new("docker");
            docker.arg("compose");
            docker
        }
        (_, Ok(_)) => Command::new("docker-compose"),
        _ => return println!("not checked by Docker Compose, which is not installed"),
    };
    let parsed =
        command.args(["--file", "compose.yml", "config"]).current_dir(folder).output().unwrap();
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
}
