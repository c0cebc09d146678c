//! The query of a URL.

use percent_encoding::percent_decode_str;

const EXPECTED: &str = "expected ?subject= and the user, percent-encoded, and nothing else";
const PLUS: &str = "a \"+\" in subject is ambiguous, a space or a plus: write %20 or %2B";
const ESCAPE: &str = "a \"%\" in subject is not followed by two hexadecimal digits: write %25";

/// The user named in a query, as bytes. An ambiguous query is refused, because the sessions of
/// another user could be ended.
pub(super) fn subject(query: &str) -> Result<Vec<u8>, &'static str> {
    let encoded = query.strip_prefix("subject=").ok_or(EXPECTED)?;
    if encoded.is_empty() || encoded.contains(['&', '=', ';', '#']) {
        return Err(EXPECTED);
    }
    if encoded.contains('+') {
        return Err(PLUS);
    }
    let is_escape = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !encoded.split('%').skip(1).all(is_escape) {
        return Err(ESCAPE);
    }
    Ok(percent_decode_str(encoded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_in_one_way_only() {
        for (query, expected) in [
            ("subject=ada", Ok("ada")),
            ("subject=J%C3%BCrgen%20%2B%26%3D", Ok("Jürgen +&=")),
            ("subject=ada+lovelace", Err(PLUS)),
            ("subject=100%", Err(ESCAPE)),
            ("subject=%4", Err(ESCAPE)),
            ("subject=%zz", Err(ESCAPE)),
            ("subject=", Err(EXPECTED)),
            ("subject=a&subject=b", Err(EXPECTED)),
            ("subject=a=b", Err(EXPECTED)),
            ("user=a", Err(EXPECTED)),
            ("", Err(EXPECTED)),
        ] {
            assert_eq!(subject(query), expected.map(|text| text.as_bytes().to_vec()), "{query}");
        }
    }
}
