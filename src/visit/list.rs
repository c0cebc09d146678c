//! Field values that are lists (RFC 9110).

/// The members of a list, trimmed and without empty ones. A separator within quotes does not count
/// (RFC 9110 sections 5.6.1 and 5.6.4).
pub(super) fn members(field: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    field
        .split(move |&byte| {
            if escaped {
                escaped = false;
            } else {
                match byte {
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    byte => return byte == separator && !quoted,
                }
            }
            false
        })
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}
