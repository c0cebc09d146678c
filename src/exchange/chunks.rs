//! The chunked transfer coding (RFC 9112 section 7.1), read in the one way in which nobody reads it
//! differently: what is not exactly in its form is no body.

use crate::session::cookie::is_token_byte;

/// How long a line with a size may be, and all trailers together.
const LONGEST_SIZE_LINE: usize = 1024;
const LONGEST_TRAILERS: usize = 8 * 1024;

/// The most digits of a size: 2^60 bytes.
const MOST_DIGITS: usize = 15;

/// Bytes that are not in the form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How far a body in chunks has been read.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    state: State,
    /// The size of the chunk that is being read, or what is left of it.
    size: u64,
    /// How many digits of its size have been read, zeros in front not counted.
    digits: usize,
    has_size: bool,
    /// How much of the line, or of all trailers.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// White space behind the size.
    Gap,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataEnd,
    /// At the start of a line behind the last chunk.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Done,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { state: State::Size, size: 0, digits: 0, has_size: false, line: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on in `input`, up to the body's end at most, and hands each piece of it to `piece`.
    /// Returns how many bytes belong to it.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        mut piece: impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if self.state == State::Done {
                break;
            }
            if self.state == State::Data {
                let rest = &input[at..];
                let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest.len());
                piece(&rest[..length]);
                self.size -= length as u64;
                at += length;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(byte)?;
            at += 1;
        }
        Ok(at)
    }

    /// One byte that is not of a chunk's data.
    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        self.line += 1;
        let next = match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.has_size = true;
                self.digits += usize::from(self.digits > 0 || digit > 0);
                if self.digits > MOST_DIGITS {
                    return Err(Malformed);
                }
                self.size = self.size << 4 | u64::from(digit);
                State::Size
            }
            // Some servers fill a size up with spaces; nobody reads another size.
            (State::Size, b' ' | b'\t') if self.has_size => State::Gap,
            (State::Gap, b' ' | b'\t') => State::Gap,
            (State::Size | State::Gap, b';') if self.has_size => State::Extension,
            (State::Size | State::Gap | State::Extension, b'\r') if self.has_size => State::SizeEnd,
            (State::Extension, byte) if is_text(byte) => State::Extension,
            (State::SizeEnd, b'\n') => {
                let is_last = self.size == 0;
                self.digits = 0;
                self.has_size = false;
                self.line = 0;
                if is_last { State::Trailer } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => {
                self.line = 0;
                State::Size
            }
            (State::Trailer, b'\r') => State::LastEnd,
            (State::Trailer, byte) if is_token_byte(byte) => State::TrailerName,
            (State::TrailerName, byte) if is_token_byte(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerValue, byte) if is_text(byte) => State::TrailerValue,
            (State::TrailerEnd, b'\n') => State::Trailer,
            (State::LastEnd, b'\n') => State::Done,
            _ => return Err(Malformed),
        };
        let most = match next {
            State::Size | State::Gap | State::Extension => LONGEST_SIZE_LINE,
            _ => LONGEST_TRAILERS,
        };
        if self.line > most { Err(Malformed) } else { Ok(next) }
    }
}

/// Whether it may stand in an extension or in the value of a field: no control character but a tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Writes a piece of a body as a chunk. An empty one would end it.
pub(super) fn write(piece: &[u8], out: &mut Vec<u8>) {
    if piece.is_empty() {
        return;
    }
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut rest = piece.len();
    while rest > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    out.reserve(piece.len() + digits.len() + 4);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk, and no trailers.
pub(super) const LAST: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, and what is behind it; None where it has not ended.
    fn read(input: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let (mut chunks, mut body, mut at) = (Chunks::new(), Vec::new(), 0);
        while at < input.len() && !chunks.is_done() {
            let end = input.len().min(at + step);
            at += chunks.read(&input[at..end], |piece| body.extend_from_slice(piece))?;
        }
        Ok(chunks.is_done().then_some((body, input.len() - at)))
    }

    #[test]
    fn a_body_is_read_to_its_end_and_no_further() {
        for (input, body, behind) in [
            ("0\r\n\r\n", "", 0),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
            ("5\r\nhello\r\n0\r\n\r\nGET", "hello", 3),
            ("00005\r\nhello\r\n000\r\n\r\n", "hello", 0),
            ("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", 0),
            ("5;a=b\r\nhello\r\n0;c=\"d;\\\"\"\r\n\r\n", "hello", 0),
            ("5  \r\nhello\r\n0 ;a\r\n\r\n", "hello", 0),
            ("5\r\nhello\r\n0\r\nA: b\r\nc:\r\n\r\nX", "hello", 1),
            ("3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0", 0),
        ] {
            for step in [1, 2, 3, 7, input.len()] {
                let expected = Ok(Some((body.as_bytes().to_vec(), behind)));
                assert_eq!(read(input.as_bytes(), step), expected, "{input:?} by {step}");
            }
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_body() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(LONGEST_SIZE_LINE));
        let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(LONGEST_TRAILERS / 6 + 1));
        for input in [
            "\r\n",
            ";a\r\n",
            " 5\r\n",
            "\t5\r\n",
            "+5\r\n",
            "-5\r\n",
            "0x5\r\n",
            "5h\r\n",
            "5_\r\n",
            "5 5\r\n",
            "5\n",
            "5\r5",
            "5\r\r\n",
            "5;a\nb\r\n",
            "5;a=\"b\rc\"\r\n",
            "5;a\0\r\n",
            "ffffffffffffffff\r\n",
            "1000000000000000\r\n",
            "5\r\nhello0",
            "5\r\nhello\n",
            "5\r\nhello\r0",
            "5\r\nhelloxx",
            "0\r\n\n",
            "0\r\n\r\r",
            "0\r\nA\r\n",
            "0\r\n: b\r\n",
            "0\r\nA : b\r\n",
            "0\r\n A: b\r\n",
            "0\r\nA: b\nC: d\r\n",
            "0\r\nA: b\rC",
            "0\r\nA: b\0\r\n",
            "0\r\nGET / HTTP/1.1\r\n",
            &long,
            &trailers,
        ] {
            for step in [1, 5, input.len()] {
                assert_eq!(read(input.as_bytes(), step), Err(Malformed), "{input:?} by {step}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_has_not_ended() {
        let whole = b"5;a\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], 4), Ok(None), "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6), step in 1_usize..40) {
            let mut out = Vec::new();
            for piece in &pieces {
                write(piece, &mut out);
            }
            out.extend_from_slice(LAST);
            out.extend_from_slice(b"behind");
            prop_assert_eq!(read(&out, step), Ok(Some((pieces.concat(), 6))));
        }

        #[test]
        fn the_end_does_not_depend_on_the_pieces_it_comes_in(input in any::<Vec<u8>>(), step in 1_usize..9) {
            prop_assert_eq!(read(&input, step), read(&input, input.len().max(1)));
        }
    }
}
