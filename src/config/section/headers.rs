//! `[headers]`

use toml::Value;

use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, word};
use crate::session::header::{Claim, ClaimEncoding, Encoding, FieldName, HeaderNames};

/// Fields that mean something to servers, clients or the sidecar itself. None can carry a session,
/// and none may fall under the guard, which takes whatever starts with `headers.session` and a
/// dash from requests: without `Content-Length`, a body would be read as the next request.
const RESERVED: [&str; 42] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Access-Control-Allow-Origin",
    "Age",
    "Cache-Control",
    "CDN-Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Date",
    "ETag",
    "Expect",
    "Expires",
    "Forwarded",
    "Host",
    "HTTP2-Settings",
    "If-None-Match",
    "Keep-Alive",
    "Location",
    "Max-Forwards",
    "Origin",
    "Proxy-Connection",
    "Range",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-WebSocket-Key",
    "Set-Cookie",
    "Surrogate-Control",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "Via",
    "WWW-Authenticate",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
];

pub(in crate::config) fn headers(table: &mut Table<'_, '_>) -> Read<HeaderNames> {
    let encodings = [("json", Encoding::Json), ("base64url", Encoding::Base64Url)];
    let session = table.or("session", "X-Session", field_name);
    // A new name for the first renames the others, unless they have names of their own.
    let prefix = session.as_ref().map_or("X-Session", FieldName::as_str).to_owned();
    let save = table.or("save", format!("{prefix}-Save"), field_name);
    let merge = table.or("merge", format!("{prefix}-Merge"), field_name);
    let delete = table.or("delete", format!("{prefix}-Delete"), field_name);
    let max_age = table.or("max_age", format!("{prefix}-Max-Age"), field_name);
    let renew = table.or("renew", format!("{prefix}-Renew"), field_name);
    let status = table.optional("status", field_name);
    let encoding = table.or("encoding", "json", choice(&encodings));
    let claims = table.table("claims", |table| table.entries(claim));

    let fields = [
        ("session", session.as_ref().ok()),
        ("save", save.as_ref().ok()),
        ("merge", merge.as_ref().ok()),
        ("delete", delete.as_ref().ok()),
        ("max_age", max_age.as_ref().ok()),
        ("renew", renew.as_ref().ok()),
        ("status", status.as_ref().ok().and_then(Option::as_ref)),
    ];
    let mut named = Vec::new();
    for (key, field) in fields {
        let (place, given) = (table.at(key), table.has(key));
        named.extend(field.map(|field| Named { place, given, is_claim: false, field }));
    }
    for (place, claim) in claims.as_ref().into_iter().flatten() {
        let place = place.clone();
        named.push(Named { place, given: true, is_claim: true, field: &claim.field });
    }
    refuse_doubles(table, &named);

    let names = HeaderNames {
        session: session?,
        save: save?,
        merge: merge?,
        delete: delete?,
        max_age: max_age?,
        renew: renew?,
        status: status?,
        encoding: encoding?,
        claims: claims?.into_iter().map(|(_, claim)| claim).collect(),
    };
    if let Some(taken) = RESERVED.iter().find(|field| names.is_own(field.as_bytes())) {
        let place = table.at("session");
        let message = format!(
            "headers.session = {:?} would take {taken} from requests, with all that start with \
             \"{}-\"",
            names.session.as_str(),
            names.session.as_str()
        );
        return Err(table.document().fault(&place, message));
    }
    Ok(names)
}

fn field_name(value: &Value) -> Result<FieldName, String> {
    let field = FieldName::parse(value.as_str().unwrap_or_default())?;
    match RESERVED.iter().find(|name| field.is_alias(name.as_bytes())) {
        Some(name) => Err(format!("a header of its own: {name} means something else")),
        None => Ok(field),
    }
}

/// The path alone, or a table with the path and how its value is written.
fn claim(name: &str, value: &Value) -> Result<Claim, String> {
    let field = field_name(&name.into())?;
    let Value::Table(table) = value else {
        let path = dotted_path(value).map_err(|reason| match value {
            Value::String(_) => reason,
            _ => format!("{A_PATH}, or a table {A_TABLE}"),
        })?;
        return Ok(Claim { field, path, join: None, encoding: ClaimEncoding::Plain });
    };
    if let Some(key) = table.keys().find(|key| !["path", "join", "encoding"].contains(&&***key)) {
        return Err(format!("a table {A_TABLE}; it has nothing named {key:?}"));
    }
    let path = match table.get("path") {
        Some(Value::Array(keys)) => keys.iter().map(word).collect::<Result<Vec<_>, _>>(),
        Some(path) => dotted_path(path),
        None => return Err(format!("a table {A_TABLE}: path is missing")),
    };
    let path = path.map_err(|expected| format!("as path {expected}"))?;
    if path.is_empty() {
        return Err("as path an array of at least one key".into());
    }
    let encodings = [("percent", ClaimEncoding::Percent), ("base64url", ClaimEncoding::Base64Url)];
    let encoding = table.get("encoding").map(choice(&encodings)).transpose();
    let encoding = encoding.map_err(|expected| format!("as encoding {expected}"))?;
    let encoding = encoding.unwrap_or_default();
    let join = table.get("join").map(|join| separator(join, encoding)).transpose();
    let join = join.map_err(|expected| format!("as join {expected}"))?;
    Ok(Claim { field, path, join, encoding })
}

const A_PATH: &str = "a path into the dict, such as \"user.name\"";
const A_TABLE: &str = "such as { path = \"roles\", join = \",\", encoding = \"percent\" }";

/// `"user.name"`
pub(super) fn dotted_path(path: &Value) -> Result<Vec<String>, String> {
    let path = word(path).map_err(|_| A_PATH)?;
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!("{A_PATH}, with a key on each side of a dot"));
    }
    Ok(path)
}

/// What can stand between elements, and not be taken for a part of one.
fn separator(value: &Value, encoding: ClaimEncoding) -> Result<String, String> {
    let separator = word(value)?;
    if !separator.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("printable ASCII, such as \",\"".into());
    }
    let in_encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    if encoding == ClaimEncoding::Percent && separator.bytes().any(in_encoded) {
        return Err("something that is not in percent-encoded text, such as \",\"".into());
    }
    Ok(separator)
}

struct Named<'a> {
    place: Place,
    /// In the file, rather than by default.
    given: bool,
    /// The name is the key, and not its value.
    is_claim: bool,
    field: &'a FieldName,
}

/// Two fields of one name, or of names that a server may fold into one, would overwrite each other.
fn refuse_doubles(table: &mut Table<'_, '_>, named: &[Named<'_>]) {
    for (index, second) in named.iter().enumerate() {
        let name = second.field.as_str();
        let same = |first: &&Named<'_>| first.field.is_alias(name.as_bytes());
        let Some(first) = named[..index].iter().find(same) else {
            continue;
        };
        // Where one of them is a default, the other is the one to change.
        let (wrong, taken) = if second.given { (second, first) } else { (first, second) };
        let value = (!wrong.is_claim).then(|| format!("{:?}", wrong.field.as_str()));
        let expected = format!("a name of its own, not that of {}", taken.place.path());
        table.document().refuse(&wrong.place, value.as_deref(), &expected);
    }
}
