//! What arrives at either end, in a form in which two carriers can be compared.

pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// A head whose fields are in the order of their names, without what each carrier makes up anew.
pub fn head_of(head: &[u8]) -> String {
    let text: String = head.iter().map(|&byte| char::from(byte)).collect();
    let mut lines = text.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default().replacen("HTTP/1.0 ", "HTTP/1.1 ", 1);
    let mut fields: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(':').unwrap_or((line, "no colon"))).collect();
    for (name, value) in &mut fields {
        let is_fresh = *name == "Date" || (*name == "X-Request-Id" && value.trim().len() == 32);
        if is_fresh {
            *value = "…";
        }
    }
    fields.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    format!("{first} {fields:?}")
}

/// A body, chunks undone, and whether it is whole as far as they say.
pub fn body_of(head: &[u8], mut body: &[u8]) -> String {
    let is_chunked = String::from_utf8_lossy(head)
        .to_ascii_lowercase()
        .contains("\r\ntransfer-encoding: chunked\r\n");
    let mut text = Vec::new();
    let mut is_whole = !is_chunked;
    if is_chunked {
        while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
            let size = String::from_utf8_lossy(&body[..end]).into_owned();
            let size = usize::from_str_radix(&size, 16).unwrap_or(usize::MAX);
            body = &body[end + 2..];
            if size == 0 {
                is_whole = body == b"\r\n";
                body = &[];
                break;
            }
            text.extend_from_slice(&body[..size.min(body.len())]);
            body = body.get(size.saturating_add(2)..).unwrap_or_default();
        }
    }
    text.extend_from_slice(body);
    let text = String::from_utf8_lossy(&text).into_owned();
    // In an answer of the sidecar's own.
    let text = text.split_once("\nrequest ").map_or(text.clone(), |(text, _)| format!("{text} …"));
    format!("{text}{}", if is_whole { "" } else { " (not whole)" })
}

/// What the client sees: each head, and a body. Whether it gets a 1xx before an answer that is
/// refused depends on how fast that comes.
pub fn seen_by_client(mut bytes: &[u8]) -> String {
    let mut seen = String::new();
    while let Some(end) = end_of_head(bytes) {
        let (head, rest) = bytes.split_at(end);
        if head.starts_with(b"HTTP/1.1 502 ") {
            seen.clear();
        }
        seen.push_str(&head_of(head));
        if !head.starts_with(b"HTTP/1.1 1") {
            let id = String::from_utf8_lossy(rest).into_owned();
            let body = match id.split_once("\"request_id\":") {
                Some((body, _)) => body.to_owned(),
                None => body_of(head, rest),
            };
            return format!("{seen} {body:?}");
        }
        bytes = rest;
    }
    format!("{seen} cut: {:?}", String::from_utf8_lossy(bytes))
}
