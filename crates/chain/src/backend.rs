//! What carries questions to a node and answers back.
//!
//! Invariant: an answer is bounded in length, and no message has more of a node's address than its host.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::transports::http::reqwest::{Client, Response, Url};
use tokio::runtime::{Builder, Runtime};

use crate::error::ChainError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes of an answer.
pub(crate) const MAX_ANSWER: usize = 1 << 26;

/// What carries questions to a node and answers back, and tells the time.
pub(crate) trait Transport: Send {
    /// Asks once.
    ///
    /// # Errors
    /// What the network did, in words without the address of the node.
    fn ask(&self, question: &str) -> Result<Answered, String>;

    /// Lets time pass.
    fn pause(&self, time: Duration);

    /// The system's clock, seconds since 1970.
    fn now(&self) -> u64;
}

/// An answer before it is read.
pub(crate) struct Answered {
    /// Status of HTTP.
    pub(crate) status: u16,
    /// None if it is too long.
    pub(crate) body: Option<Vec<u8>>,
}

/// A node behind an address.
pub(crate) struct Http {
    runtime: Runtime,
    client: Client,
    url: Url,
}

impl Http {
    /// The node at an address, and its host for messages. Nothing is asked yet.
    pub(crate) fn new(url: &str) -> Result<(Self, String), ChainError> {
        let bad = |reason: String| ChainError::Url { reason };
        let parsed: Url = url.parse().map_err(|error| bad(format!("{error}")))?;
        if !["http", "https"].contains(&parsed.scheme()) {
            return Err(bad(format!("{}:// is not spoken here", parsed.scheme())));
        }
        let host = parsed.host_str().unwrap_or("without a host");
        let node = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let client = Client::builder().timeout(PATIENCE).build();
        let http = Self {
            runtime: runtime.map_err(|error| bad(format!("no event loop: {error}")))?,
            client: client.map_err(|_| bad("no client for it can be made".to_owned()))?,
            url: parsed,
        };
        Ok((http, node))
    }
}

impl Transport for Http {
    fn ask(&self, question: &str) -> Result<Answered, String> {
        let asked = self.client.post(self.url.clone());
        let asked = asked.header("content-type", "application/json");
        let asked = asked.body(question.to_owned());
        self.runtime.block_on(async {
            let response = asked.send().await.map_err(|error| {
                // Why without its text: that of the library holds the whole address of the node.
                match error.is_timeout() {
                    true => format!("no answer in {PATIENCE:?}"),
                    false => "the connection failed".to_owned(),
                }
            })?;
            let status = response.status().as_u16();
            let body = read(response).await;
            let body = body.map_err(|_| "the connection failed".to_owned())?;
            Ok(Answered { status, body })
        })
    }

    fn pause(&self, time: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    }
}

/// Reads an answer; none if it is too long.
async fn read(
    mut response: Response,
) -> Result<Option<Vec<u8>>, alloy::transports::http::reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
