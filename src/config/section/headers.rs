//! `[headers]`

use toml::Value;

use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, file_path, seconds, word};
use crate::keys::signature::SignatureSpec;
use crate::session::header::{Claim, ClaimEncoding, Encoding, FieldName, HeaderNames};

/// Fields with a meaning for servers, clients or the sidecar. They cannot carry a session, nor
/// start with `headers.session` and a dash, because those are removed from requests: without
/// `Content-Length`, a body would be read as the next request.
const RESERVED: [&str; 44] = [
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
    "Signature",
    "Signature-Input",
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

/// `[headers]`
pub(in crate::config) struct Headers {
    pub(in crate::config) names: HeaderNames,
    pub(in crate::config) signature: Option<SignatureSpec>,
}

pub(in crate::config) fn headers(table: &mut Table<'_, '_>) -> Read<Headers> {
    let encodings = [("json", Encoding::Json), ("base64url", Encoding::Base64Url)];
    let session = table.or("session", "X-Session", field_name);
    // The other names start with the first one, unless they are configured.
    let prefix = session.as_ref().map_or("X-Session", FieldName::as_str).to_owned();
    let save = table.or("save", format!("{prefix}-Save"), field_name);
    let merge = table.or("merge", format!("{prefix}-Merge"), field_name);
    let delete = table.or("delete", format!("{prefix}-Delete"), field_name);
    let max_age = table.or("max_age", format!("{prefix}-Max-Age"), field_name);
    let renew = table.or("renew", format!("{prefix}-Renew"), field_name);
    let status = table.optional("status", field_name);
    let encoding = table.or("encoding", "json", choice(&encodings));
    let claims = table.table("claims", |table| table.entries(claim));
    let signature = table.table("signature", signature);

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
            "headers.session = {:?} would strip every request header that starts with \"{}-\", such as \
             {taken}",
            names.session.as_str(),
            names.session.as_str()
        );
        return Err(table.document().fault(&place, message));
    }
    Ok(Headers { names, signature: signature? })
}

/// `[headers.signature]`, if it has a file.
fn signature(table: &mut Table<'_, '_>) -> Read<Option<SignatureSpec>> {
    let file = table.discreet("secret_file", file_path);
    let id = table.or("id", "cloakroom", key_id);
    let max_age = table.or("max_age", "60s", seconds);
    let line = table.at("secret_file").line();
    let (Some(secret_file), id, max_age) = (file?, id?, max_age?) else { return Ok(None) };
    Ok(Some(SignatureSpec { secret_file, id, max_age, line }))
}

/// Text that is valid between quotes (RFC 9651 section 3.3.3).
fn key_id(value: &Value) -> Result<String, Expected> {
    let id = word(value)?;
    match id.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte)) {
        true => Ok(id),
        false => Err(Expected::KeyId),
    }
}

fn field_name(value: &Value) -> Result<FieldName, Expected> {
    let field = FieldName::parse(value.as_str().unwrap_or_default())?;
    match RESERVED.iter().find(|name| field.is_alias(name.as_bytes())) {
        Some(name) => Err(Expected::UntakenField(name)),
        None => Ok(field),
    }
}

/// Only the path, or a table with the path and the encoding of its value.
fn claim(name: &str, value: &Value) -> Result<Claim, Expected> {
    let field = field_name(&name.into())?;
    let Value::Table(table) = value else {
        let path = dotted_path(value).map_err(|reason| match value {
            Value::String(_) => reason,
            _ => Expected::DictPathOrTable,
        })?;
        return Ok(Claim { field, path, join: None, encoding: ClaimEncoding::Plain });
    };
    if let Some(key) = table.keys().find(|key| !["path", "join", "encoding"].contains(&&***key)) {
        return Err(Expected::ClaimTableWithout(key.clone()));
    }
    let path = match table.get("path") {
        Some(Value::Array(keys)) => keys.iter().map(word).collect::<Result<Vec<_>, _>>(),
        Some(path) => dotted_path(path),
        None => return Err(Expected::ClaimTableWithPath),
    };
    let of = |part| move |expected| Expected::As(part, Box::new(expected));
    let path = path.map_err(of("path"))?;
    if path.is_empty() {
        return Err(of("path")(Expected::SomeKeys));
    }
    let encodings = [("percent", ClaimEncoding::Percent), ("base64url", ClaimEncoding::Base64Url)];
    let encoding = table.get("encoding").map(choice(&encodings)).transpose();
    let encoding = encoding.map_err(of("encoding"))?;
    let encoding = encoding.unwrap_or_default();
    let join = table.get("join").map(|join| separator(join, encoding)).transpose();
    let join = join.map_err(of("join"))?;
    Ok(Claim { field, path, join, encoding })
}

/// `"user.name"`
pub(super) fn dotted_path(path: &Value) -> Result<Vec<String>, Expected> {
    let path = word(path).map_err(|_| Expected::DictPath)?;
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(Expected::DictPathWithoutGaps);
    }
    Ok(path)
}

/// A separator that cannot be taken for a part of an element.
fn separator(value: &Value, encoding: ClaimEncoding) -> Result<String, Expected> {
    let separator = word(value)?;
    if !separator.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Expected::Separator);
    }
    let in_encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    if encoding == ClaimEncoding::Percent && separator.bytes().any(in_encoded) {
        return Err(Expected::SeparatorOfEncoded);
    }
    Ok(separator)
}

struct Named<'a> {
    place: Place,
    /// Set in the file, not a default.
    given: bool,
    /// The key is the name, not the value.
    is_claim: bool,
    field: &'a FieldName,
}

/// Fields with the same name, or with names that servers may treat as equal, would overwrite each
/// other.
fn refuse_doubles(table: &mut Table<'_, '_>, named: &[Named<'_>]) {
    for (index, second) in named.iter().enumerate() {
        let name = second.field.as_str();
        let same = |first: &&Named<'_>| first.field.is_alias(name.as_bytes());
        let Some(first) = named[..index].iter().find(same) else {
            continue;
        };
        // If one is a default, the other one must be changed.
        let (wrong, taken) = if second.given { (second, first) } else { (first, second) };
        let value = (!wrong.is_claim).then(|| format!("{:?}", wrong.field.as_str()));
        let expected = format!("duplicate name: {} has it already", taken.place.path());
        table.document().refuse(&wrong.place, value.as_deref(), &expected);
    }
}
