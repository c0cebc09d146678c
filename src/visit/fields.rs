//! The fields of a head, independent of the carrier's representation.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

/// A head whose fields can be read and changed.
///
/// Names for look-ups are in lower case, like [`HeaderName`]; names to write are in the case in
/// which they are sent.
pub trait Fields {
    /// The name of each field, in lower case; a repeated one may appear several times.
    fn names(&self) -> impl Iterator<Item = &[u8]>;

    /// Each field, its name in lower case.
    fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])>;

    /// The values of the fields with that name, in order.
    fn all<'a>(
        &'a self,
        name: &HeaderName,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, Self>;

    /// Removes all fields with that name and returns how many there were.
    fn remove(&mut self, name: &[u8]) -> usize;

    /// Replaces all fields with that name by one.
    fn set(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull>;

    /// Adds a field, even if others have that name.
    fn append(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull>;

    /// Whether there is a field with that name.
    fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }

    /// The value of the first field with that name.
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }
}

/// A head has no room for another field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadFull;

/// The head of a request.
pub(crate) trait RequestHead: Fields {
    fn method(&self) -> &Method;

    fn version(&self) -> Version;

    /// The scheme of an absolute target, or `:scheme`.
    fn scheme(&self) -> Option<&str>;

    /// The target as sent: path and query, or `*`.
    fn target(&self) -> &[u8];

    /// The authority of an absolute target, or `:authority`.
    fn authority(&self) -> Option<&str>;
}

/// The head of an answer.
pub(crate) trait ResponseHead: Fields {
    fn status(&self) -> u16;
}

impl Fields for HeaderMap {
    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.keys().map(|name| name.as_str().as_bytes())
    }

    fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
    }

    fn all<'a>(&'a self, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a> {
        self.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }

    fn remove(&mut self, name: &[u8]) -> usize {
        let Ok(name) = HeaderName::from_bytes(name) else { return 0 };
        let fields = self.get_all(&name).iter().count();
        HeaderMap::remove(self, &name);
        fields
    }

    fn set(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull> {
        let name = HeaderName::from_bytes(&name).map_err(|_| HeadFull)?;
        self.try_insert(name, value).map(|_| ()).map_err(|_| HeadFull)
    }

    fn append(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull> {
        let name = HeaderName::from_bytes(&name).map_err(|_| HeadFull)?;
        self.try_append(name, value).map(|_| ()).map_err(|_| HeadFull)
    }
}
