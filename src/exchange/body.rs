//! A body on its way from one side to the other: read to its exact end and framed anew.

use bytes::{Buf as _, BytesMut};

use super::chunks::{self, Chunks, Malformed};

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// So much is to come.
    Length(u64),
    Chunks(Chunks),
    /// It ends with the connection. Only an answer's can.
    UntilClose,
}

/// How a body is framed where it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Its length has been said.
    Plain,
    Chunked,
}

impl Body {
    pub(super) const NONE: Self = Self::Length(0);

    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunks(chunks) => chunks.is_done(),
            Self::UntilClose => false,
        }
    }

    /// How many bytes at the front of `input` are of it and can go on as they are; None where a
    /// body has to be framed anew.
    pub(super) fn plain(&self, input: &[u8], framing: Framing) -> Option<usize> {
        match self {
            Self::Length(left) if framing == Framing::Plain => {
                Some(usize::try_from(*left).unwrap_or(usize::MAX).min(input.len()))
            }
            _ => None,
        }
    }

    /// Says that so many bytes have gone on as they were.
    pub(super) fn has_passed(&mut self, bytes: usize) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// Takes what belongs to it from the front of `input` and adds it to `out`, with its end where
    /// that is known to have come. Returns how many bytes of the body these were.
    pub(super) fn pass_on(
        &mut self,
        input: &mut BytesMut,
        framing: Framing,
        out: &mut Vec<u8>,
    ) -> Result<u64, Malformed> {
        let was_done = self.is_done();
        let mut passed = 0;
        let mut add = |piece: &[u8]| {
            passed += piece.len() as u64;
            match framing {
                Framing::Plain => out.extend_from_slice(piece),
                Framing::Chunked => chunks::write(piece, out),
            }
        };
        let taken = match self {
            Self::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                add(&input[..length]);
                *left -= length as u64;
                length
            }
            Self::Chunks(chunks) => chunks.read(input, add)?,
            Self::UntilClose => {
                add(input);
                input.len()
            }
        };
        if taken == input.len() {
            input.clear();
        } else {
            input.advance(taken);
        }
        if !was_done && self.is_done() && framing == Framing::Chunked {
            out.extend_from_slice(chunks::LAST);
        }
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass_on(mut body: Body, input: &str, framing: Framing) -> (String, String, bool) {
        let (mut input, mut out) = (BytesMut::from(input), Vec::new());
        assert!(body.pass_on(&mut input, framing, &mut out).is_ok());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&out), text(&input), body.is_done())
    }

    #[test]
    fn each_framing_becomes_each() {
        let chunked = || Body::Chunks(Chunks::new());
        for (body, input, framing, out, rest, is_done) in [
            (Body::Length(5), "helloGET", Framing::Plain, "hello", "GET", true),
            (Body::Length(5), "hel", Framing::Plain, "hel", "", false),
            (Body::Length(5), "hello", Framing::Chunked, "5\r\nhello\r\n0\r\n\r\n", "", true),
            (Body::Length(0), "GET", Framing::Plain, "", "GET", true),
            (chunked(), "5\r\nhello\r\n0\r\n\r\nX", Framing::Plain, "hello", "X", true),
            (
                chunked(),
                "05;a\r\nhello\r\n0\r\nA: b\r\n\r\n",
                Framing::Chunked,
                "5\r\nhello\r\n0\r\n\r\n",
                "",
                true,
            ),
            (chunked(), "0\r\n\r\n", Framing::Chunked, "0\r\n\r\n", "", true),
            (chunked(), "5\r\nhel", Framing::Chunked, "3\r\nhel\r\n", "", false),
            (Body::UntilClose, "hello", Framing::Chunked, "5\r\nhello\r\n", "", false),
        ] {
            let what = format!("{body:?} {input:?} {framing:?}");
            assert_eq!(pass_on(body, input, framing), (out.into(), rest.into(), is_done), "{what}");
        }
    }

    #[test]
    fn a_body_ends_once() {
        let (mut body, mut out) = (Body::Chunks(Chunks::new()), Vec::new());
        for input in ["1\r\na\r\n0\r\n", "\r\n", "", "behind"] {
            let passed = body.pass_on(&mut BytesMut::from(input), Framing::Chunked, &mut out);
            assert!(passed.is_ok(), "{input:?}");
        }
        assert_eq!(out, b"1\r\na\r\n0\r\n\r\n");
    }
}
