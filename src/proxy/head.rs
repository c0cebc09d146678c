//! pingora's heads, as the rules of `visit` use them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};
use pingora_http::{RequestHeader, ResponseHeader};

use crate::visit::{Fields, HeadFull, RequestHead, ResponseHead};

/// Both types of head keep the case of names next to a map. Their methods have the same names but
/// belong to no common trait.
macro_rules! fields {
    ($head:ty) => {
        impl Fields for $head {
            fn names(&self) -> impl Iterator<Item = &[u8]> {
                self.headers.names()
            }

            fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
                self.headers.each()
            }

            fn all<'a>(
                &'a self,
                name: &HeaderName,
            ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a> {
                self.headers.all(name)
            }

            fn remove(&mut self, name: &[u8]) -> usize {
                let Ok(name) = HeaderName::from_bytes(name) else { return 0 };
                let fields = self.headers.get_all(&name).iter().count();
                self.remove_header(&name);
                fields
            }

            fn set(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull> {
                self.insert_header(name, value).map_err(|_| HeadFull)
            }

            fn append(&mut self, name: Bytes, value: HeaderValue) -> Result<(), HeadFull> {
                self.append_header(name, value).map(|_| ()).map_err(|_| HeadFull)
            }

            fn has(&self, name: &HeaderName) -> bool {
                self.headers.contains_key(name)
            }
        }
    };
}

fields!(RequestHeader);
fields!(ResponseHeader);

impl RequestHead for RequestHeader {
    fn method(&self) -> &Method {
        &self.method
    }

    fn version(&self) -> Version {
        self.version
    }

    fn scheme(&self) -> Option<&str> {
        self.uri.scheme_str()
    }

    fn target(&self) -> &[u8] {
        self.raw_path()
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(http::uri::Authority::as_str)
    }
}

impl ResponseHead for ResponseHeader {
    fn status(&self) -> u16 {
        self.status.as_u16()
    }
}
