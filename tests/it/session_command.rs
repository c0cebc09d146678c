//! `cloakroom session`: lists and ends stored sessions while a sidecar is running.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::home::{in_a_cluster, in_each_home};
use crate::support::token::unbase64;
use crate::support::{Backend, Builder, Home, SetCookie, Sidecar, say};

struct Setting<'a> {
    home: &'a Home<'a>,
    sidecar: Sidecar,
}

impl<'a> Setting<'a> {
    fn new(home: &'a Home<'a>) -> Self {
        let keys = "keys = [{ secret_env = \"UNUSED\" }]\n";
        let config = format!("{keys}{}", home.tables());
        std::fs::write(home.folder().join("cloakroom.toml"), config).unwrap();
        let sidecar = home.start(Sidecar::before(&Backend::saying()).with(&home.tables()));
        Self { home, sidecar }
    }

    fn config(&self) -> PathBuf {
        self.home.folder().join("cloakroom.toml")
    }

    fn log_in(&self, user: &str) -> (String, String) {
        let dict = format!("{{\"user\":\"{user}\",\"secret\":\"hush\"}}");
        let token = SetCookie::token(&self.sidecar.send(&say("Save", &dict)));
        let payload = unbase64(token.split('.').nth(1).unwrap());
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let id = payload["cr"]["id"].as_str().unwrap().to_owned();
        (token, id)
    }

    fn is_good(&self, token: &str) -> bool {
        self.sidecar.get("/", Some(token)).text() != "{}"
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
        command.arg("session").args(arguments).arg("--config").arg(self.config());
        command.output().unwrap()
    }

    /// Exit code and standard output.
    fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

fn the_sessions_of_a_user_are_listed_without_what_is_in_them(home: &Home) {
    let setting = Setting::new(home);
    let (_, first) = setting.log_in("ada");
    let (_, second) = setting.log_in("ada");
    setting.log_in("eve");
    let (code, text) = setting.says(&["list", "--subject", "ada"]);
    assert_eq!(code, Some(0));
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["id", "start", "seen", "expires", "bytes"]);
    assert_eq!(lines.len(), 3, "{text}");
    let mut ids = [lines[1][0], lines[2][0]];
    ids.sort_unstable();
    let mut expected = [first.as_str(), second.as_str()];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    for line in &lines[1..] {
        assert!(line[1..4].iter().all(|moment| moment.ends_with('Z')), "{text}");
        assert!(line[4].parse::<u64>().unwrap() > 30, "{text}");
    }
    assert!(!text.contains("hush") && !text.contains("ada"), "{text}");

    let (code, json) = setting.says(&["list", "--subject", "ada", "--json"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sessions"].as_array().unwrap().len(), 2);
    let (code, json) = setting.says(&["show", &first, "--json"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["id"], first.as_str());
    assert!(setting.says(&["show", &second]).1.contains(&second));
}

fn sessions_end_one_by_one_of_a_user_or_all_at_the_running_sidecar(home: &Home) {
    let setting = Setting::new(home);
    let (one, id) = setting.log_in("ada");
    let (two, _) = setting.log_in("ada");
    let (three, _) = setting.log_in("eve");
    assert_eq!(setting.says(&["revoke", &id]), (Some(0), "1 session ended\n".into()));
    assert_eq!([&one, &two, &three].map(|token| setting.is_good(token)), [false, true, true]);
    let ended = setting.says(&["revoke", "--subject", "ada"]);
    assert_eq!(ended, (Some(0), "1 session ended\n".into()));
    assert_eq!([&two, &three].map(|token| setting.is_good(token)), [false, true]);
    setting.log_in("eve");
    assert_eq!(setting.says(&["revoke", "--all"]), (Some(0), "2 sessions ended\n".into()));
    assert!(!setting.is_good(&three));
    // Nothing matches any more.
    for arguments in [
        &["revoke", "--all"][..],
        &["revoke", "--subject", "ada"],
        &["revoke", &id],
        &["show", &id],
        // No session can have such an id.
        &["revoke", "nobody"],
        &["show", "nobody"],
        &["list", "--subject", "ada"],
    ] {
        let output = setting.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert_eq!(output.stderr, b"cloakroom: no such session\n", "{arguments:?}");
    }
}

#[test]
fn without_a_store_or_its_file_there_is_nothing_to_look_at() {
    let home = Home::file();
    let setting = Setting::new(&home);
    let config = std::fs::read_to_string(setting.config()).unwrap();
    let refused = |config: &str, arguments: &[&str]| {
        std::fs::write(setting.config(), config).unwrap();
        let output = setting.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let list = ["list", "--subject", "ada"];
    let keys = "keys = [{ secret_env = \"UNUSED\" }]\n";
    assert!(refused(keys, &list).contains("no [store] is configured"));
    let elsewhere = config.replace("sessions.db", "other.db");
    assert!(refused(&elsewhere, &list).contains("other.db: not found"));
    assert!(!home.folder().join("other.db").exists());
    let nobody = config.replace("subject = \"user\"\n", "");
    assert!(refused(&nobody, &list).contains("session.subject is not set"));
    let faulty = config.replace("ttl = \"1h\"\n", "");
    assert!(refused(&faulty, &list).contains("needs session.ttl"));
}

#[test]
fn check_looks_at_the_file_and_makes_none() {
    let home = Home::file();
    let (folder, file) = (home.folder(), home.path());
    let tables =
        |file: &Path| home.tables().replace(home.path().to_str().unwrap(), file.to_str().unwrap());
    let check = |file: &Path| {
        let config = folder.join("cloakroom.toml");
        std::fs::write(&config, Builder::new("http://127.0.0.1:1").with(&tables(file)).text())
            .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
            .args(["check", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(&file), (Some(0), String::new()));
    assert!(!file.exists());
    let sidecar = Sidecar::before(&Backend::plain()).with(&tables(&file)).start();
    assert_eq!(check(&file), (Some(0), String::new()));
    drop(sidecar);
    let mut bytes = std::fs::read(&file).unwrap();
    // user_version, the layout: https://www.sqlite.org/fileformat.html#the_database_header
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, bytes).unwrap();
    let (code, stderr) = check(&file);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("written by a later version of cloakroom"), "{stderr}");
    std::fs::write(&file, "x".repeat(1000)).unwrap();
    assert!(check(&file).1.contains("not a session file of cloakroom's"));
    let (code, stderr) = check(&folder.join("nowhere/s.db"));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("its directory does not exist"), "{stderr}");
}

in_each_home! {
    the_sessions_of_a_user_are_listed_without_what_is_in_them
    sessions_end_one_by_one_of_a_user_or_all_at_the_running_sidecar
}

in_a_cluster! {
    the_sessions_of_a_user_are_listed_without_what_is_in_them
    sessions_end_one_by_one_of_a_user_or_all_at_the_running_sidecar
}
