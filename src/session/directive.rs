//! What the app's control headers ask for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use super::broken::{Broken, BrokenReason};
use super::dict::Dict;
use super::header::Encoding;
use super::lifetime::LONGEST;
use super::merge::merge;
use super::view::View;

/// The values of one control header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// The answer does not have this header.
    #[default]
    Absent,
    /// It is sent once, or several times with the same value.
    Value(&'a [u8]),
    /// It is sent several times with different values; this is the first.
    Differing(&'a [u8]),
}

impl<'a> Field<'a> {
    /// Adds one more field of this name.
    pub fn add(&mut self, value: &'a [u8]) {
        let value = value.trim_ascii();
        *self = match *self {
            Self::Absent => Self::Value(value),
            Self::Value(first) if first != value => Self::Differing(first),
            same => same,
        };
    }

    /// Whether the answer has this header.
    #[must_use]
    pub fn is_present(self) -> bool {
        self != Self::Absent
    }
}

/// The control headers of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control<'a> {
    /// `X-Session-Save`
    pub save: Field<'a>,
    /// `X-Session-Merge`
    pub merge: Field<'a>,
    /// `X-Session-Max-Age`
    pub max_age: Field<'a>,
    /// The meaning of the `X-Session-Delete` fields.
    pub delete: Deletes,
    /// The meaning of the `X-Session-Renew` fields.
    pub renew: Renews,
}

/// What the `X-Session-Delete` fields of an answer ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletes {
    this: bool,
    all: bool,
    others: bool,
    none: bool,
}

impl Deletes {
    /// Adds one more field. `0`, `false`, `no`, `off` and an empty value do not ask for a deletion;
    /// `all` ends every session of this user, `others` every one except this; any other value ends
    /// this session.
    pub fn add(&mut self, value: &[u8]) {
        let value = value.trim_ascii();
        let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
        *match value {
            value if is_no(value) => &mut self.none,
            _ if is("all") => &mut self.all,
            _ if is("others") => &mut self.others,
            _ => &mut self.this,
        } = true;
    }

    fn is_contradiction(self) -> bool {
        let said = [self.this, self.all, self.others, self.none];
        said.into_iter().filter(|said| *said).count() > 1
    }
}

/// Whether the `X-Session-Renew` fields of an answer ask for a new id. Values mean the same as in
/// [`Deletes::add`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renews {
    yes: bool,
    no: bool,
}

impl Renews {
    /// Adds one more field.
    pub fn add(&mut self, value: &[u8]) {
        *if is_no(value.trim_ascii()) { &mut self.no } else { &mut self.yes } = true;
    }
}

fn is_no(value: &[u8]) -> bool {
    [&b""[..], b"0", b"false", b"no", b"off"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// What the app asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Nothing.
    Keep,
    /// Replace or change the dict, or keep it under a new id.
    Save(Save),
    /// End every other session of the user.
    EndOthers,
    /// Delete the session.
    Delete {
        /// End every other session of the user too.
        all: bool,
        /// The answer also has a save or merge, which is ignored.
        beside_a_save: bool,
    },
    /// Something that cannot be carried out.
    Broken(Broken),
}

impl Directive {
    /// Limits the directive to a view: an app that sees only part of the dict must not name a
    /// hidden key.
    #[must_use]
    pub fn within(self, view: &View) -> Self {
        let Self::Save(mut save) = self else {
            return self;
        };
        for (what, dict) in [("save", &save.dict), ("merge", &save.patch)] {
            let Some(dict) = dict else { continue };
            if !dict.members().all(|(key, _)| view.shows(key)) {
                return Self::Broken(Broken {
                    reason: BrokenReason::HiddenKey(what),
                    bytes: dict.as_str().len(),
                });
            }
        }
        save.view = Some(view.clone());
        Self::Save(save)
    }
}

/// A dict to be saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Save {
    /// The new dict; None keeps the dict of the request.
    pub dict: Option<Dict>,
    /// A merge patch applied to it (RFC 7396).
    pub patch: Option<Dict>,
    /// The session's own lifetime in seconds, capped at [`LONGEST`].
    pub max_age: Option<u64>,
    /// Whether the session gets a new id.
    pub renew: bool,
    /// Whether every other session of the user ends.
    pub others: bool,
    /// The view of the app, if it does not see the whole dict.
    pub view: Option<View>,
}

impl Save {
    /// The dict after the save.
    #[must_use]
    pub fn apply(&self, current: &Dict) -> Dict {
        let put = match (&self.dict, &self.view) {
            (Some(dict), Some(view)) => Some(view.put(dict, current)),
            _ => None,
        };
        let dict = put.as_ref().or(self.dict.as_ref()).unwrap_or(current);
        match &self.patch {
            Some(patch) => merge(dict, patch),
            None => dict.clone(),
        }
    }
}

/// Reads the control headers of an answer.
#[must_use]
pub fn read(control: &Control<'_>, encoding: Encoding) -> Directive {
    let saves = control.save.is_present() || control.merge.is_present();
    let delete = control.delete;
    if delete.is_contradiction() {
        let reason = BrokenReason::Contradiction("delete");
        return Directive::Broken(Broken { reason, bytes: 0 });
    }
    if delete.this || delete.all {
        return Directive::Delete { all: delete.all, beside_a_save: saves };
    }
    // A lifetime without a save has no effect.
    match (saves || control.renew.yes, delete.others) {
        (false, false) => Directive::Keep,
        (false, true) => Directive::EndOthers,
        (true, _) => match read_save(control, encoding) {
            Ok(save) => Directive::Save(save),
            Err(broken) => Directive::Broken(broken),
        },
    }
}

fn read_save(control: &Control<'_>, encoding: Encoding) -> Result<Save, Broken> {
    if control.renew.yes && control.renew.no {
        return Err(Broken { reason: BrokenReason::Contradiction("renew"), bytes: 0 });
    }
    Ok(Save {
        dict: read_dict("save", control.save, encoding)?,
        patch: read_dict("merge", control.merge, encoding)?,
        max_age: read_max_age(control.max_age)?,
        renew: control.renew.yes,
        others: control.delete.others,
        view: None,
    })
}

fn single<'a>(what: &'static str, field: Field<'a>) -> Result<Option<&'a [u8]>, Broken> {
    match field {
        Field::Absent => Ok(None),
        Field::Value(value) => Ok(Some(value)),
        Field::Differing(first) => {
            Err(Broken { reason: BrokenReason::Twice(what), bytes: first.len() })
        }
    }
}

fn read_dict(
    what: &'static str,
    field: Field<'_>,
    encoding: Encoding,
) -> Result<Option<Dict>, Broken> {
    let Some(value) = single(what, field)? else {
        return Ok(None);
    };
    let broken = |reason| Broken { reason, bytes: value.len() };
    let json = match encoding {
        Encoding::Json => value.to_vec(),
        Encoding::Base64Url => {
            URL_SAFE_NO_PAD.decode(value).map_err(|_| broken(BrokenReason::NotBase64Url(what)))?
        }
    };
    Dict::from_vec(json).map(Some).map_err(|error| broken(BrokenReason::NotADict(what, error)))
}

fn read_max_age(field: Field<'_>) -> Result<Option<u64>, Broken> {
    let Some(value) = single("max-age", field)? else {
        return Ok(None);
    };
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Broken { reason: BrokenReason::NotSeconds, bytes: value.len() });
    }
    // Only digits reach this line: a parse error means that the number is too large.
    let seconds =
        str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
    Ok(Some(seconds.min(LONGEST.as_secs())))
}
