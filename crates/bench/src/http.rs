//! HTTP/1.1 by hand: prebuilt requests, keep-alive, replies framed by Content-Length.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::Peer;

/// A request whose bytes do not change, with a bearer token if one is given.
pub fn request(method: &str, target: &str, token: Option<&str>, content_type: Option<&str>, body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(256 + body.len());
    bytes.extend_from_slice(format!("{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n").as_bytes());
    if let Some(token) = token {
        bytes.extend_from_slice(format!("authorization: Bearer {token}\r\n").as_bytes());
    }
    if let Some(content_type) = content_type {
        let head = format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
        bytes.extend_from_slice(head.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes.into()
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    /// The last reply, head and body; capacity is kept.
    reply: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, reply: Vec::with_capacity(64 * 1024) })
    }

    pub async fn open_many(address: SocketAddr, count: usize) -> Result<Vec<Connection>> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(Connection::open(address).await?);
        }
        Ok(all)
    }

    async fn read_more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.reply).await.context("read the reply")?;
        ensure!(read > 0, "the server closed the connection within a reply");
        Ok(())
    }
}

impl Peer for Connection {
    async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await.context("send the request")?;
        self.reply.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::parse(&self.reply)? {
                break head;
            }
        };
        let end = head.bytes + head.content_length;
        if end > self.reply.len() {
            self.reply.reserve(end - self.reply.len());
        }
        while self.reply.len() < end {
            self.read_more().await?;
        }
        ensure!(self.reply.len() == end, "{} bytes after the end of the reply", self.reply.len() - end);
        let body = &self.reply[head.bytes..end];
        if !(200..300).contains(&head.status) {
            let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
            bail!("status {}: {text}", head.status);
        }
        Ok(body)
    }
}

/// What has to be known of a reply's head.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// Length of the head with its empty line.
    bytes: usize,
    content_length: usize,
}

impl Head {
    /// `None`: not all of it is here yet.
    fn parse(reply: &[u8]) -> Result<Option<Head>> {
        let Some(end) = memchr::memmem::find(reply, b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&reply[..end]).context("the head of a reply is not text")?;
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.get(9..12).and_then(|s| s.parse().ok());
        let status = status.with_context(|| format!("not a status line: {status_line:?}"))?;
        let mut content_length = if status == 204 { Some(0) } else { None };
        for line in lines {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                content_length = Some(value.trim().parse().context("content-length is not a number")?);
            }
        }
        let content_length =
            content_length.context("a reply without content-length; chunked replies are not read here")?;
        Ok(Some(Head { status, bytes: end + 4, content_length }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_complete_and_refused_when_it_frames_nothing() {
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-Le").expect("so far so good"), None);
        let head = Head::parse(b"HTTP/1.1 207 Multi\r\nContent-Length: 12\r\n\r\n{").expect("a head");
        assert_eq!(head, Some(Head { status: 207, bytes: 42, content_length: 12 }));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"SMTP\r\n\r\n").is_err());
    }
}
