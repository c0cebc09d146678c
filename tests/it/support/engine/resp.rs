//! The protocol of Redis (RESP 2), as far as tests need it.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
    Nothing,
    List(Vec<Reply>),
    /// `ERR …`, `READONLY …` and so on.
    Error(String),
}

impl Reply {
    /// The answer as text: the members of a list one per line.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Error(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nothing => String::new(),
            Self::List(members) => members.iter().map(Self::text).collect::<Vec<_>>().join("\n"),
        }
    }

    pub fn number(&self) -> i64 {
        self.text().parse().unwrap_or_else(|_| panic!("no number: {self:?}"))
    }

    pub fn list(&self) -> &[Reply] {
        match self {
            Self::List(members) => members,
            _ => panic!("no list: {self:?}"),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// A connection.
pub struct Link(BufReader<TcpStream>);

impl Link {
    pub fn to(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command and waits for the answer.
    pub fn ask<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Reply> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words.iter().map(AsRef::as_ref) {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)?;
        self.read()
    }

    fn read(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let odd = || Error::new(ErrorKind::InvalidData, format!("no answer: {line:?}"));
        let (kind, rest) = line.split_at_checked(1).ok_or_else(odd)?;
        let length = || rest.parse::<i64>().map_err(|_| odd());
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(length()?),
            "$" | "*" if length()? < 0 => Reply::Nothing,
            "$" => {
                let mut bytes = vec![0; length()? as usize + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bytes(bytes)
            }
            "*" => {
                let members = (0..length()?).map(|_| self.read());
                Reply::List(members.collect::<Result<_>>()?)
            }
            _ => return Err(odd()),
        })
    }
}
