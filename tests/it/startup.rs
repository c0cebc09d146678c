//! Starts, failed starts, and the time to start.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::support::message::Wire;
use crate::support::{
    Answer, Backend, Builder, Protocol, Request, SECRET, SetCookie, Sidecar, WAIT, client, mint,
};

/// Checks that the start fails, and returns the error.
fn refused(builder: Builder) -> String {
    let text = builder.text();
    let (code, stderr) = builder.fail();
    assert_eq!(code, Some(2), "{text}\n---\n{stderr}");
    stderr
}

fn builder() -> Builder {
    Builder::new("http://127.0.0.1:1")
}

#[test]
fn nothing_starts_without_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        format!("[[keys]]\nsecret_file = \"{}\"", path.display())
    };
    for (keys, named) in [
        (String::new(), "keys"),
        ("[[keys]]\n".into(), "keys"),
        ("[[keys]]\nsecret = \"\"".into(), "secret"),
        ("[[keys]]\nsecret_env = \"NO_SUCH_SECRET\"".into(), "secret_env"),
        ("[[keys]]\nsecret_env = \"EMPTY_SECRET\"".into(), "secret_env"),
        ("[[keys]]\nsecret_file = \"/no/such/secret\"".into(), "secret_file"),
        (file("empty", ""), "secret_file"),
        (file("newline", "\n"), "secret_file"),
        ("[[keys]]\nsecret = \"!\"\nsecret_encoding = \"base64\"".into(), "secret"),
        ("[[keys]]\nsecret = \"abc\"\nsecret_encoding = \"hex\"".into(), "secret"),
        ("[[keys]]\nsecret = \"a\"\nsecret_file = \"b\"".into(), "keys"),
    ] {
        let stderr = refused(builder().keys(&keys).env("EMPTY_SECRET", ""));
        assert!(stderr.contains(named), "{keys}: {stderr}");
    }
}

/// Secrets that an operator may paste in place of a file name.
#[test]
fn secret_in_the_place_of_its_file_is_not_printed() {
    let base64 = "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=";
    let begins_with_a_slash = "/9j4AAQSkZJRgABAQAAAQABAAD2wBDAAMCAgICAgMCAg=";
    let pem =
        "-----BEGIN PRIVATE KEY-----\\nMIGHAgEAMBMGByqGSM49AgEG\\n-----END PRIVATE KEY-----\\n";
    let long = "MIGHAgEAMBMGByqGSM49AgEG".repeat(40);
    for secret in [SECRET, base64, begins_with_a_slash, pem, &long, "correct horse battery staple"]
    {
        for file in [
            "KEYsecret_file = \"IT\"",
            "KEYalgorithm = \"ES256\"\nprivate_key_file = \"IT\"",
            "KEYalgorithm = \"ES256\"\npublic_key_file = \"IT\"",
            "[tls]\ncert = \"IT\"\nkey = \"IT\"\nlisten = \"127.0.0.1:0\"",
            "[session]\nrevoked_file = \"IT\"",
            "[backend_tls]\nca_file = \"IT\"",
        ] {
            let given = file.replace("IT", secret);
            let builder = match given.strip_prefix("KEY") {
                Some(key) => builder().keys(&format!("[[keys]]\n{key}\n")),
                None if file.contains("ca_file") => {
                    Builder::new("https://127.0.0.1:1").with(&given)
                }
                None => builder().with(&given),
            };
            let stderr = refused(builder);
            let lines = secret.split("\\n").filter(|line| !line.is_empty());
            for part in lines.flat_map(|line| [line, &line[..line.len().min(20)]]) {
                assert!(!stderr.contains(part), "{file}: {stderr}");
            }
            assert!(stderr.contains("file here"), "{file}: {stderr}");
        }
    }
}

#[test]
fn line_is_that_of_the_key_at_fault() {
    for (keys, behind) in [
        ("[[keys]]\nid = \"a\"\nsecret_file = \"/no/such/secret\"", 2),
        ("[[keys]]\nalgorithm = \"HS512\"\n\nsecret = \"short\"\nid = \"a\"", 3),
        ("[[keys]]\nalgorithm = \"ES256\"\nid = \"a\"\npublic_key_file = \"/no/such/key\"", 3),
    ] {
        let builder = builder().keys(keys);
        let text = builder.text();
        let table = text.lines().position(|line| line == "[[keys]]").expect("a key");
        let line = format!("cloakroom.toml:{}: keys[1] (id \"a\"): ", 1 + table + behind);
        let stderr = refused(builder);
        assert!(stderr.contains(&line), "{line}\n{text}\n{stderr}");
    }
}

#[test]
fn key_at_fault_is_named_by_its_id() {
    let keys = format!(
        "[[keys]]\nid = \"good\"\nsecret = \"{SECRET}\"\n\n[[keys]]\nid = \"empty-one\"\nsecret = \"\""
    );
    assert!(refused(builder().keys(&keys)).contains("empty-one"));
}

#[test]
fn short_secret_is_refused_unless_allowed() {
    for (algorithm, length) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let key = |length: usize| {
            format!("[[keys]]\nalgorithm = \"{algorithm}\"\nsecret = \"{}\"\n", "s".repeat(length))
        };
        let stderr = refused(builder().keys(&key(length - 1)));
        assert!(stderr.contains("secret"), "{stderr}");
        assert!(!stderr.contains(&"s".repeat(length - 1)), "the secret is on standard error");
        drop(builder().keys(&key(length)).start());
        drop(builder().keys(&(key(length - 1) + "allow_weak_secret = true")).start());
    }
}

#[test]
fn unknown_key_is_named_with_its_line_and_the_nearest() {
    for (config, wrong, nearest) in [
        ("[session]\nmax_cookie_byte = 100", "max_cookie_byte", "max_cookie_bytes"),
        ("[cookie]\nsamesite = \"lax\"", "samesite", "same_site"),
        ("[headers]\nsesion = \"X\"", "sesion", "session"),
        ("[[routes]]\npath = \"/\"\nrequired = true", "required", "require"),
        ("[timeouts]\nbackend_reed = \"1s\"", "backend_reed", "backend_read"),
    ] {
        let builder = builder().with(config);
        let text = builder.text();
        let line = text.lines().position(|line| line.starts_with(wrong)).expect("the line") + 1;
        let stderr = refused(builder);
        assert!(stderr.contains(&format!("cloakroom.toml:{line}")), "line {line}: {stderr}");
        assert!(stderr.contains(wrong) && stderr.contains(nearest), "{stderr}");
    }
}

#[test]
fn wrong_types_and_values_are_named_with_their_line() {
    for (config, wrong) in [
        ("[session]\nmax_cookie_bytes = \"many\"", "max_cookie_bytes"),
        ("[session]\non_bad_save = \"shrug\"", "on_bad_save"),
        ("[cookie]\nsecure = \"yes\"", "secure"),
        ("[cookie]\ndomain = \"https://example.com\"", "domain"),
        ("[cookie]\nhttp_only = false\nname = \"__http-s\"\nsecure = true", "http_only"),
        ("[cookie]\nsame_site = \"none\"", "same_site"),
        ("[cookie]\npartitioned = true", "partitioned"),
        ("[cookie]\nname = \"__Host-s\"", "name"),
        ("[cookie]\nname = \"__Secure-s\"", "name"),
        ("[cookie]\nname = \"a b\"", "name"),
        ("[cookie]\npath = \"/;x\"", "path"),
        ("[headers]\nsession = \"X Session\"", "session"),
        ("[timeouts]\nbackend_read = \"soon\"", "backend_read"),
    ] {
        let builder = builder().with(config);
        let text = builder.text();
        let line = text.lines().position(|line| line.starts_with(wrong)).expect("the line") + 1;
        let stderr = refused(builder);
        assert!(stderr.contains(&format!("cloakroom.toml:{line}")), "line {line}: {stderr}");
        assert!(stderr.contains(wrong), "{stderr}");
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let config = "[cookie]\nsecure = \"yes\"\nnonsense = 1\n\n[session]\non_bad_save = \"shrug\"";
    let stderr = refused(builder().with(config));
    for wrong in ["secure", "nonsense", "on_bad_save"] {
        assert!(stderr.contains(wrong), "{wrong}: {stderr}");
    }
}

#[test]
fn address_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = builder().listen(std::slice::from_ref(&address)).fail();
    assert!(code.is_some_and(|code| code != 0), "{code:?}");
    assert!(stderr.contains(&address), "{stderr}");
}

#[test]
fn first_request_is_answered_at_once() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    assert_eq!(sidecar.get("/", None).status(), 200);
    let took = sidecar.begun().elapsed();
    println!("the first request was answered {took:?} after the start");
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 100 });
    assert!(took < limit, "{took:?}");
}

#[test]
fn several_listeners() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":1}"#)]));
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("cloakroom.sock");
    let addresses = ["127.0.0.1:0".into(), "[::1]:0".into(), format!("unix:{}", socket.display())];
    let sidecar = Sidecar::before(&backend).listen(&addresses).start();
    for address in &sidecar.addresses()[..2] {
        let address = address.parse().expect("a TCP address");
        for protocol in Protocol::ALL {
            let response = client::exchange(address, protocol, &Request::get("/"));
            SetCookie::token(&response);
        }
    }
    assert_eq!(sidecar.addresses()[2], addresses[2]);
    let stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let mut wire = Wire::new(stream);
    let request = Request::get("/").session(&mint(r#"{"n":7}"#)).with("X_Session", "forged");
    std::io::Write::write_all(&mut wire.stream, &request.bytes(Protocol::Http11)).unwrap();
    SetCookie::token(&wire.response("GET").unwrap());
    assert_eq!(backend.last().values("X-Session"), [r#"{"n":7}"#]);
}

#[test]
fn unix_socket_is_for_whom_it_is_configured() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("cloakroom.sock");
    let backend = Backend::plain();
    let listen = [format!("unix:{}", socket.display())];
    for (line, mode) in [("", 0o666), ("socket_mode = \"0660\"", 0o660)] {
        let _sidecar = Sidecar::before(&backend).top(line).listen(&listen).start();
        let found = std::fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{line}");
    }
}

#[test]
fn unix_socket_left_behind_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("cloakroom.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let backend = Backend::plain();
    let _sidecar =
        Sidecar::before(&backend).listen(&[format!("unix:{}", socket.display())]).start();
    UnixStream::connect(&socket).expect("it listens");
}

#[test]
fn backend_on_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let backend = Backend::unix(&directory.path().join("app.sock"), Answer::ok(&[]));
    let sidecar = Sidecar::start(&backend);
    let response = sidecar.get("/", Some(&mint(r#"{"n":1}"#)));
    assert_eq!(response.status(), 200);
    assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#]);
    assert_eq!(backend.last().values("Host"), ["app.test"]);
    assert_eq!(sidecar.admin("/readyz").status(), 200);
}

#[test]
fn backend_can_be_a_name() {
    let backend = Backend::plain();
    let port = backend.address().unwrap().port();
    let sidecar = Builder::new(&format!("http://localhost:{port}")).start();
    assert_eq!(sidecar.get("/", None).status(), 200);
}
