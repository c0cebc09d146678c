//! HTTP/1 messages, read without losing a byte.

use std::fmt;
use std::io::{self, Read, Write};

/// A request or response as received.
#[derive(Clone, Default)]
pub struct Message {
    /// `GET / HTTP/1.1`, `HTTP/1.1 200 OK`
    pub first_line: String,
    /// Names and values, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Without the framing of chunks.
    pub body: Vec<u8>,
    /// The trailers of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Every byte from the first line to the end of the body.
    pub raw: Vec<u8>,
    /// The 1xx answers before a final one.
    pub interim: Vec<Message>,
}

impl Message {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        let status = self.first_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {:?}", self.first_line))
    }

    /// The target of a request, as sent.
    pub fn target(&self) -> &str {
        self.first_line.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of every field with this name, ignoring case.
    pub fn values(&self, name: &str) -> Vec<String> {
        let fields = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of the only field with this name.
    pub fn value(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "{name} several times: {values:?}");
        values.pop()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Every field name, including interim answers and trailers, in lower case.
    pub fn all_names(&self) -> Vec<String> {
        let own = self.fields.iter().chain(&self.trailers);
        let interim = self.interim.iter().flat_map(|message| &message.fields);
        own.chain(interim).map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    fn declares(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next().map(|value| value.to_ascii_lowercase())
    }

    fn is_chunked(&self) -> bool {
        self.declares("transfer-encoding").is_some_and(|value| value.contains("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.declares("content-length").and_then(|value| value.parse().ok())
    }
}

/// In readable form.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for interim in &self.interim {
            writeln!(f, "{interim:?}")?;
        }
        writeln!(f, "{}", self.first_line)?;
        for (name, value) in self.fields.iter().chain(&self.trailers) {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value).escape_debug())?;
        }
        write!(f, "\n{}", self.text().escape_debug())
    }
}

/// A connection, TCP or unix.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// Reads messages from a connection.
pub struct Wire<S> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl<S: Stream> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request; None at the end of the connection.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut message) = self.head()? else {
            return Ok(None);
        };
        if message.is_chunked() {
            self.chunks(&mut message)?;
        } else if let Some(length) = message.length() {
            self.counted(&mut message, length)?;
        }
        Ok(Some(message))
    }

    /// The next response, to a request with this method.
    pub fn response(&mut self, method: &str) -> io::Result<Message> {
        let mut interim = Vec::new();
        loop {
            let mut message = self.head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = message.status();
            if (100..200).contains(&status) && status != 101 {
                interim.push(message);
                continue;
            }
            message.interim = interim;
            if method == "HEAD" || matches!(status, 101 | 204 | 304) {
                return Ok(message);
            }
            if message.is_chunked() {
                self.chunks(&mut message)?;
            } else if let Some(length) = message.length() {
                self.counted(&mut message, length)?;
            } else {
                message.body = self.rest()?;
                message.raw.extend_from_slice(&message.body);
            }
            return Ok(message);
        }
    }

    /// Everything until the end of the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// The next bytes, at least one; empty at the end.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Waits for the next bytes, and leaves them there. False at the end.
    pub fn has_more(&mut self) -> io::Result<bool> {
        Ok(!self.buffer.is_empty() || self.fill()?)
    }

    fn head(&mut self) -> io::Result<Option<Message>> {
        let mut message = Message::default();
        while self.buffer.is_empty() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        let line = self.line(&mut message.raw)?;
        message.first_line = String::from_utf8_lossy(&line).into_owned();
        message.fields = self.fields(&mut message.raw)?;
        Ok(Some(message))
    }

    fn fields(&mut self, raw: &mut Vec<u8>) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line(raw)?;
            if line.is_empty() {
                return Ok(fields);
            }
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
            fields.push((name, value.to_vec()));
        }
    }

    fn counted(&mut self, message: &mut Message, length: usize) -> io::Result<()> {
        message.body = self.exactly(length)?;
        message.raw.extend_from_slice(&message.body);
        Ok(())
    }

    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let line = self.line(&mut message.raw)?;
            let size = String::from_utf8_lossy(&line);
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                message.trailers = self.fields(&mut message.raw)?;
                return Ok(());
            }
            let chunk = self.exactly(size)?;
            message.raw.extend_from_slice(&chunk);
            message.body.extend_from_slice(&chunk);
            self.line(&mut message.raw)?;
        }
    }

    /// A line without its line end; `raw` gets both.
    fn line(&mut self, raw: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let end = loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                break end;
            }
            self.must_fill()?;
        };
        let rest = self.buffer.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        raw.extend_from_slice(&line);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// Exactly this number of bytes.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.must_fill()?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn must_fill(&mut self) -> io::Result<()> {
        if self.fill()? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// False at the end of the connection.
    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        let count = self.stream.read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count > 0)
    }
}
