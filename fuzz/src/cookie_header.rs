//! `Cookie` fields: the first byte has flags, each line after it is a field.

use cloakroom::session::cookie::{CookieName, MAX_CANDIDATES, Names, Rest, find};

/// Other cookies stay unchanged and in order, ours are removed, and all candidates are ours.
pub fn cookie_header(data: &[u8]) {
    let Some((flags, text)) = data.split_first() else { return };
    let keep = flags & 1 != 0;
    let name = |text: &str| CookieName::parse(text).expect("a cookie name");
    let (own, old) = (name("session"), [name("sid"), name("__Host-s")]);
    let names = Names { own: &own, old: &old[..usize::from(flags >> 1) % 3] };
    // No field contains a line end, and there may be none.
    let fields: Vec<&[u8]> = match text {
        b"" => Vec::new(),
        text => text.split(|&byte| byte == b'\n').collect(),
    };

    let found = find(|| fields.iter().copied(), names, keep);

    let all: Vec<&[u8]> = fields.iter().flat_map(|field| pieces(field)).collect();
    let under = |name: &CookieName| {
        let wanted = name.as_str().as_bytes().to_vec();
        let all = all.iter().filter_map(|piece| name_and_value(piece));
        all.filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let is_old = |piece: &&&[u8]| place(piece, names).is_some_and(|place| place > 0);
    let old_values = all.iter().filter(is_old).filter_map(|piece| name_and_value(piece));
    let expected: Vec<&[u8]> =
        under(names.own).chain(old_values.map(|(_, value)| value)).take(MAX_CANDIDATES).collect();
    assert_eq!(found.candidates().collect::<Vec<_>>(), expected, "the candidates");

    let ours = all.iter().any(|piece| place(piece, names).is_some());
    let rest = found.into_rest();
    let blank = fields.iter().any(|field| field.iter().all(|byte| b"; \t".contains(byte)));
    if rest == Rest::Unchanged {
        assert!(fields.len() <= 1 && !blank && (keep || !ours), "passed on as it came");
        return;
    }
    assert!(fields.len() > 1 || blank || (ours && !keep), "changed without need");
    let rest = match rest {
        Rest::Replaced(bytes) => bytes,
        _ => Vec::new(),
    };

    // Only white space between a cookie and the removed one before it may be dropped.
    let is_kept = |piece: &&[u8]| keep || place(piece, names).is_none();
    let expected: Vec<&[u8]> = all
        .iter()
        .copied()
        .filter(is_kept)
        .map(trim_start)
        .filter(|piece| !piece.is_empty())
        .collect();
    let left: Vec<&[u8]> =
        pieces(&rest).map(trim_start).filter(|piece| !piece.is_empty()).collect();
    assert_eq!(left, expected, "the other cookies");

    // One field in which ours is not the first: the rest is only cut.
    if let [field] = fields[..]
        && pieces(field).next().is_some_and(|first| is_kept(&first))
        && !rest.is_empty()
    {
        let kept: Vec<&[u8]> = pieces(field).filter(is_kept).collect();
        assert_eq!(rest, kept.join(&b';'), "byte for byte");
    }

    // A backend, and a second sidecar, must read the result in the same way.
    let again = find(|| std::iter::once(&rest[..]), names, false);
    if keep {
        assert_eq!(again.candidates().count(), expected_count(&all, names), "kept, and found");
    } else {
        assert_eq!(again.candidates().count(), 0, "cut out, all of them");
        let nothing_more = if rest.is_empty() { Rest::Empty } else { Rest::Unchanged };
        assert_eq!(again.into_rest(), nothing_more, "nothing more to cut");
    }
}

fn expected_count(all: &[&[u8]], names: Names<'_>) -> usize {
    all.iter().filter(|piece| place(piece, names).is_some()).count().min(MAX_CANDIDATES)
}

/// The name that a cookie has; the current one is the first.
fn place(piece: &[u8], names: Names<'_>) -> Option<usize> {
    let (name, _) = name_and_value(piece)?;
    std::iter::once(names.own).chain(names.old).position(|ours| ours.as_str().as_bytes() == name)
}

fn pieces(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&byte| byte == b';')
}

fn name_and_value(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut halves = piece.splitn(2, |&byte| byte == b'=');
    Some((trim(halves.next()?), trim(halves.next()?)))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
    trim_start(&bytes[..end])
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !b" \t".contains(byte)).unwrap_or(bytes.len());
    &bytes[start..]
}
