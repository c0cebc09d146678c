//! The backend and its faults.

use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::client::Outcome;
use super::{Noticed, mark, marks};
use crate::rough::{Wire, target};

/// A body that is larger than all buffers on its way.
pub(super) const LARGE: usize = 1 << 20;

/// The size of answers that would have no end.
const ENDLESS: usize = 4 << 20;

/// How much pingora reads at once: of a head, and of a body.
const HEAD_READ: usize = 4096;
const BODY_READ: usize = 64 * 1024;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The backend's faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Fault {
            /// None: a correct answer.
            None,
            $($(#[doc = $doc])* $name,)*
        }

        impl Fault {
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    /// RST.
    Reset,
    /// FIN.
    Close,
    /// FIN from its side only.
    HalfClose,
    HalfHead,
    HalfHeadReset,
    HalfHeadSilence,
    Silence,
    ShortBody,
    ShortBodyReset,
    ShortBodySilence,
    ShortChunk,
    NoLastChunk,
    /// Byte by byte, with pauses.
    Drip,
    EndlessHead,
    EndlessInterims,
    ManyInterims,
    Garbage,
    /// HTTP/0.9.
    NoHead,
    BareLines,
    Folded,
    Nul,
    NoStatus,
    /// A switch of protocols without a request for it.
    Switch,
    /// Two answers in one write.
    TwoAnswers,
    /// The same, with a first one that fills a whole read.
    TwoAnswersOneRead,
    TwoAnswersLargeRead,
    TwoAnswersChunked,
    Extra,
    ExtraLines,
    BodyOnHead,
    BodyOn204,
    BodyOn304,
    /// An answer before the request is complete, which is then read to its end.
    Early,
    EarlyClose,
    EarlyReset,
    BothLengths,
    TwoLengths,
    NegativeLength,
    HugeLength,
    BadChunk,
    HugeChunk,
}

impl Fault {
    /// The fault for a request; None after enough of each.
    pub(super) fn of(number: u64, each: u64) -> Option<Self> {
        let kinds = Self::ALL.len() as u64;
        let round = number / 2;
        match number % 2 {
            _ if round >= each * kinds => None,
            0 => Some(Self::None),
            _ => Some(Self::ALL[(round % kinds) as usize]),
        }
    }

    pub(super) fn is_early(self) -> bool {
        matches!(self, Self::Early | Self::EarlyClose | Self::EarlyReset)
    }

    /// The method of the request with this fault.
    pub(super) fn method(self, number: u64) -> &'static str {
        match self {
            Self::BodyOnHead => "HEAD",
            _ if self.is_early() || number / 2 % 2 == 1 => "POST",
            _ => "GET",
        }
    }

    /// Whether a client may get this outcome.
    pub(super) fn allows(self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Status(status) => match self {
                Self::None => *status == 200,
                _ => matches!(status, 200 | 204 | 304 | 502 | 504),
            },
            Outcome::Stale => true,
            Outcome::Broken => self != Self::None,
            Outcome::Interims => self == Self::EndlessInterims,
            Outcome::Foreign(_) | Outcome::Nothing => false,
        }
    }
}

pub(super) async fn serve(mut wire: Wire, noticed: Arc<Noticed>) -> Result<()> {
    while let Some(head) = wire.head().await? {
        let Some((fault, number)) = read(&head) else {
            noticed.mangled.lock().push(head);
            return Ok(());
        };
        let is_post = head.starts_with("POST ");
        if is_post {
            *noticed.posts.lock().entry(number).or_default() += 1;
        }
        let body = if fault.is_early() { Vec::new() } else { wire.body(&head).await? };
        let is_whole = body == mark(number).repeat(20).as_bytes();
        if is_post && !is_whole && !fault.is_early() {
            noticed.mangled.lock().push(String::from_utf8_lossy(&body).into_owned());
        }
        act(&mut wire, fault, number).await?;
        if fault.is_early() {
            let body = wire.body(&head).await?;
            if marks(&body).into_iter().any(|mark| mark != number) {
                noticed.mangled.lock().push(format!("{head}{}", String::from_utf8_lossy(&body)));
            }
        }
    }
    Ok(())
}

/// Reads a request's head; None if no client has sent it in this form.
fn read(head: &str) -> Option<(Fault, u64)> {
    let mut parts = target(head).strip_prefix('/')?.split('/');
    let (name, number) = (parts.next()?, parts.next()?.parse().ok()?);
    let mut all = Fault::ALL.iter().chain([&Fault::None]);
    let fault = *all.find(|fault| format!("{fault:?}") == name)?;
    let method = head.split(' ').next()?;
    (method == fault.method(number)).then_some((fault, number))
}

/// A head with the mark and these lines, and a body.
fn answer(number: u64, status: &str, lines: &str, body: &str) -> Vec<u8> {
    let mark = mark(number);
    format!("HTTP/1.1 {status}\r\nX-Mark: {mark}\r\n{lines}\r\n{body}").into_bytes()
}

/// An answer with a body of this length that ends with the mark.
fn good(number: u64, length: usize) -> Vec<u8> {
    let mark = mark(number);
    let body = format!("{}{mark}", "x".repeat(length.saturating_sub(mark.len())));
    answer(number, "200 OK", &format!("Content-Length: {}\r\n", body.len()), &body)
}

/// An error means that nothing more can be sent on the connection.
async fn act(wire: &mut Wire, fault: Fault, number: u64) -> Result<()> {
    let mark = mark(number);
    let ok = |lines: &str, body: &str| answer(number, "200 OK", lines, body);
    let plain = good(number, 0);
    // As long as a whole read, followed by the same again.
    let filling = |length: usize| {
        let head = good(number, length).len() - length;
        good(number, length - head)
    };
    let bytes = match fault {
        Fault::None | Fault::Early | Fault::EarlyClose | Fault::EarlyReset => plain,
        Fault::Reset | Fault::Close | Fault::HalfClose | Fault::Silence => Vec::new(),
        Fault::HalfHead | Fault::HalfHeadReset | Fault::HalfHeadSilence => {
            format!("HTTP/1.1 200 OK\r\nX-Mark: {mark}\r\nX-Ha").into()
        }
        Fault::ShortBody | Fault::ShortBodyReset | Fault::ShortBodySilence => {
            ok("Content-Length: 1000\r\n", &mark)
        }
        Fault::ShortChunk => ok("Transfer-Encoding: chunked\r\n", &format!("ff\r\n{mark}")),
        Fault::NoLastChunk => {
            ok("Transfer-Encoding: chunked\r\n", &format!("{:x}\r\n{mark}\r\n", mark.len()))
        }
        Fault::Drip => {
            for byte in plain {
                wire.send([byte]).await?;
                sleep(Duration::from_millis(2)).await;
            }
            return Ok(());
        }
        Fault::EndlessHead => {
            wire.send("HTTP/1.1 200 OK\r\n").await?;
            let field = format!("X-Mark: {mark}{}\r\n", "x".repeat(4000));
            for _ in 0..ENDLESS / field.len() {
                wire.send(&field).await?;
            }
            return Err(Error::other("nobody has stopped it"));
        }
        Fault::EndlessInterims | Fault::ManyInterims => {
            let interim = format!("HTTP/1.1 103 Early Hints\r\nX-Mark: {mark}\r\n\r\n");
            let is_endless = fault == Fault::EndlessInterims;
            for _ in 0..if is_endless { ENDLESS / interim.len() } else { 200 } {
                wire.send(&interim).await?;
            }
            if is_endless { Vec::new() } else { plain }
        }
        Fault::Garbage => format!("\x16\x03\x01\0\u{2}{mark}\r\n\r\n{mark}").into(),
        Fault::NoHead => format!("<html>{mark}</html>\r\n").into(),
        Fault::BareLines => {
            format!("HTTP/1.1 200 OK\nX-Mark: {mark}\nContent-Length: 0\n\n").into()
        }
        Fault::Folded => ok("X-Long: a\r\n b\r\nContent-Length: 0\r\n", ""),
        Fault::Nul => ok("X-Nul: a\0b\r\nContent-Length: 0\r\n", ""),
        Fault::NoStatus => format!("HTTP/1.1 OK\r\nX-Mark: {mark}\r\n\r\n").into(),
        Fault::Switch => {
            let lines = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
            answer(number, "101 Switching Protocols", lines, &mark)
        }
        Fault::TwoAnswers => plain.repeat(2),
        Fault::TwoAnswersOneRead => [filling(HEAD_READ), plain].concat(),
        Fault::TwoAnswersLargeRead => [filling(HEAD_READ + BODY_READ), plain].concat(),
        Fault::TwoAnswersChunked => {
            let chunks = format!("{:x}\r\n{mark}\r\n0\r\n\r\n", mark.len());
            [ok("Transfer-Encoding: chunked\r\n", &chunks), plain].concat()
        }
        Fault::Extra => [plain, mark.into_bytes()].concat(),
        Fault::ExtraLines => [plain, b"\r\n\r\n".to_vec()].concat(),
        Fault::BodyOnHead => plain,
        Fault::BodyOn204 => {
            answer(number, "204 No Content", &format!("Content-Length: {}\r\n", mark.len()), &mark)
        }
        Fault::BodyOn304 => answer(
            number,
            "304 Not Modified",
            &format!("Content-Length: {}\r\n", mark.len()),
            &mark,
        ),
        Fault::BothLengths => {
            let lines = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
            ok(lines, &format!("{:x}\r\n{mark}\r\n0\r\n\r\n", mark.len()))
        }
        Fault::TwoLengths => ok("Content-Length: 3\r\nContent-Length: 10\r\n", &mark),
        Fault::NegativeLength => ok("Content-Length: -1\r\n", &mark),
        Fault::HugeLength => ok("Content-Length: 99999999999999999999999\r\n", &mark),
        Fault::BadChunk => {
            ok("Transfer-Encoding: chunked\r\n", &format!("no\r\n{mark}\r\n0\r\n\r\n"))
        }
        Fault::HugeChunk => {
            ok("Transfer-Encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{mark}"))
        }
    };
    wire.send(&bytes).await?;
    end(wire, fault).await
}

/// How the connection ends, if at all.
async fn end(wire: &mut Wire, fault: Fault) -> Result<()> {
    match fault {
        Fault::Reset | Fault::HalfHeadReset | Fault::ShortBodyReset | Fault::EarlyReset => {
            wire.stream.set_zero_linger()?;
        }
        Fault::HalfClose => {
            wire.stream.shutdown().await?;
            wire.drain().await;
        }
        Fault::Silence | Fault::HalfHeadSilence | Fault::ShortBodySilence => wire.drain().await,
        Fault::Close
        | Fault::HalfHead
        | Fault::ShortBody
        | Fault::ShortChunk
        | Fault::NoLastChunk
        | Fault::EarlyClose
        | Fault::Garbage
        | Fault::NoHead
        | Fault::NoStatus => {}
        _ => return Ok(()),
    }
    Err(Error::other("the connection has ended"))
}
