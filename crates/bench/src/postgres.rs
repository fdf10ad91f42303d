//! PostgreSQL's protocol 3.0 by hand: as much as the comparison needs, and as light as our own side of it.
//!
//! Statements are prepared once per connection; a request is Bind + Execute + Sync made beforehand, parameters in binary
//! form. Every reply is read to its ReadyForQuery; any ErrorResponse fails the run.
//! Source: PostgreSQL 15 documentation, chapter 55, "Frontend/Backend Protocol".

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::Peer;

/// Where the private cluster listens and as whom to speak to it (trust authentication).
#[derive(Clone, Debug)]
pub struct Address {
    pub port: u16,
    pub user: String,
}

/// Object ids of the types used as parameters; source: `pg_type.dat`.
pub mod oid {
    pub const INT8: u32 = 20;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const JSON: u32 = 114;
    pub const JSON_ARRAY: u32 = 199;
    pub const TEXT_ARRAY: u32 = 1009;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const TIMESTAMPTZ_ARRAY: u32 = 1185;
    pub const JSONB: u32 = 3802;
    pub const JSONB_ARRAY: u32 = 3807;
}

/// Microseconds from the Unix epoch to 2000-01-01, where PostgreSQL begins to count.
const EPOCH_US: i64 = 946_684_800_000_000;

/// A `timestamptz` in binary form.
pub fn timestamptz(unix_us: i64) -> [u8; 8] {
    (unix_us - EPOCH_US).to_be_bytes()
}

/// A one-dimensional array in binary form.
pub fn array<'a>(element: u32, items: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [1, 0, element, items.len() as u32, 1] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    for item in items {
        out.extend_from_slice(&(item.len() as u32).to_be_bytes());
        out.extend_from_slice(item);
    }
    out
}

/// Runs the prepared statement `name` with these parameters: Bind, Execute, Sync.
pub fn execute<'a>(name: &str, parameters: impl ExactSizeIterator<Item = &'a [u8]>) -> Bytes {
    let mut out = Vec::new();
    message(&mut out, b'B', |body| {
        body.push(0);
        text(body, name);
        // One format code for all parameters, binary; results in the default form, text.
        body.extend_from_slice(&[0, 1, 0, 1]);
        let count = u16::try_from(parameters.len()).expect("PostgreSQL takes at most 65,535 parameters");
        body.extend_from_slice(&count.to_be_bytes());
        for parameter in parameters {
            body.extend_from_slice(&(parameter.len() as u32).to_be_bytes());
            body.extend_from_slice(parameter);
        }
        body.extend_from_slice(&[0, 0]);
    });
    message(&mut out, b'E', |body| body.extend_from_slice(&[0, 0, 0, 0, 0]));
    message(&mut out, b'S', |_| {});
    out.into()
}

/// `COPY … FROM STDIN` with its data, in text form, in one go.
pub fn copy(sql: &str, rows: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(rows.len() + 1_024);
    message(&mut out, b'Q', |body| text(body, sql));
    for chunk in rows.chunks(64 * 1024) {
        message(&mut out, b'd', |body| body.extend_from_slice(chunk));
    }
    message(&mut out, b'c', |_| {});
    out.into()
}

/// The messages of a reply, as (type, body).
pub fn messages(reply: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = reply;
    std::iter::from_fn(move || {
        let (tag, length) = frame(rest)?;
        let body = rest.get(5..1 + length)?;
        rest = &rest[1 + length..];
        Some((tag, body))
    })
}

/// Fails unless the reply ends a command with this tag, such as `INSERT 0 1000`.
pub fn expect_tag(reply: &[u8], tag: &str) -> Result<()> {
    let done = messages(reply).find(|(kind, _)| *kind == b'C').map(|(_, body)| body);
    let done = done.context("no command was completed")?;
    ensure!(done.strip_suffix(&[0]) == Some(tag.as_bytes()), "expected {tag}, got {}", String::from_utf8_lossy(done));
    Ok(())
}

/// One session.
pub struct Connection {
    stream: TcpStream,
    reply: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &Address) -> Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", address.port)).await.context("connect to PostgreSQL")?;
        stream.set_nodelay(true)?;
        let mut connection = Connection { stream, reply: Vec::with_capacity(64 * 1024) };
        let mut startup = Vec::new();
        startup.extend_from_slice(&196_608u32.to_be_bytes());
        for part in ["user", &address.user, "database", "postgres", "application_name", "counterfoil-bench", ""] {
            text(&mut startup, part);
        }
        let mut bytes = (startup.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend_from_slice(&startup);
        connection.exchange(&bytes).await.context("log in to PostgreSQL")?;
        Ok(connection)
    }

    /// Opens `count` sessions, each with the statement `name` prepared.
    pub async fn open_prepared(
        address: &Address,
        count: usize,
        name: &str,
        sql: &str,
        types: &[u32],
    ) -> Result<Vec<Connection>> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let mut connection = Connection::open(address).await?;
            let mut bytes = Vec::new();
            message(&mut bytes, b'P', |body| {
                text(body, name);
                text(body, sql);
                body.extend_from_slice(&(types.len() as u16).to_be_bytes());
                types.iter().for_each(|oid| body.extend_from_slice(&oid.to_be_bytes()));
            });
            message(&mut bytes, b'S', |_| {});
            connection.exchange(&bytes).await.with_context(|| format!("prepare {name}"))?;
            all.push(connection);
        }
        Ok(all)
    }

    /// Runs SQL without parameters and returns the first column of the first row, empty if there is none.
    pub async fn run(&mut self, sql: &str) -> Result<String> {
        let mut bytes = Vec::new();
        message(&mut bytes, b'Q', |body| text(body, sql));
        let reply = self.exchange(&bytes).await.with_context(|| format!("run {sql}"))?;
        let row = messages(reply).find(|(kind, _)| *kind == b'D').map(|(_, body)| body);
        // A row is a count of columns (two bytes), then for each column its length (four bytes) and its text.
        Ok(row.and_then(|row| row.get(6..)).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default())
    }
}

impl Peer for Connection {
    async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await.context("send to PostgreSQL")?;
        self.reply.clear();
        let mut at = 0;
        loop {
            while let Some((tag, length)) = frame(&self.reply[at..])
                && self.reply.len() > at + length
            {
                let body = at + 5..at + 1 + length;
                at = body.end;
                match tag {
                    b'Z' => {
                        ensure!(at == self.reply.len(), "PostgreSQL says more after it is ready");
                        return Ok(&self.reply);
                    }
                    b'E' => {
                        bail!("PostgreSQL refuses: {}", String::from_utf8_lossy(&self.reply[body]).replace('\0', " "))
                    }
                    _ => {}
                }
            }
            if self.reply.capacity() - self.reply.len() < 16 * 1024 {
                self.reply.reserve(self.reply.len().max(64 * 1024));
            }
            let read = self.stream.read_buf(&mut self.reply).await.context("read from PostgreSQL")?;
            ensure!(read > 0, "PostgreSQL closed the connection");
        }
    }
}

/// Type and length (without the type byte) of the message that begins here, once its first five bytes are here.
fn frame(bytes: &[u8]) -> Option<(u8, usize)> {
    let (tag, rest) = bytes.split_first()?;
    let length = u32::from_be_bytes(*rest.first_chunk()?);
    Some((*tag, length as usize))
}

fn message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - at).expect("a message of less than 4 GiB");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_framed_as_the_protocol_says() {
        let bytes = execute("s", [b"ab".as_slice()].into_iter());
        let kinds: Vec<u8> = messages(&bytes).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, b"BES");
        let (_, bind) = messages(&bytes).next().expect("a Bind");
        assert_eq!(bind, [0, b's', 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 2, b'a', b'b', 0, 0]);
    }

    #[test]
    fn a_wrong_count_of_rows_fails() {
        let mut reply = Vec::new();
        message(&mut reply, b'C', |body| text(body, "INSERT 0 999"));
        message(&mut reply, b'Z', |body| body.push(b'I'));
        assert!(expect_tag(&reply, "INSERT 0 1000").is_err());
        assert!(expect_tag(&reply, "INSERT 0 999").is_ok());
        assert!(expect_tag(&reply[..0], "INSERT 0 999").is_err());
    }
}
