//! The backend: a node as everything else in this crate depends on it.
//!
//! Invariant: an answer is bounded in length, and no message has more of a node's address than its host.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy::transports::http::reqwest::{Client, Response as HttpResponse, Url};
use tokio::runtime::{Builder, Runtime};

use crate::error::ChainError;

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of a response.
pub(crate) const MAX_ANSWER: usize = 1 << 26;

/// A node that answers requests, with the clocks by which it is waited for. [`Http`] is one implementation; tests
/// have another, a chain in memory (`script`).
///
/// The trait speaks JSON-RPC and not types, so that the rules about what nodes say lie above it and are tested with
/// the second implementation: which requests are repeated, what words mean, which hashes have to be right.
pub(crate) trait Backend: Send {
    /// Sends a request once.
    ///
    /// # Errors
    /// What the network did, in words without the address of the node.
    fn request(&self, body: &str) -> Result<Response, String>;

    fn pause(&self, time: Duration);

    /// A clock that only goes forward, since any moment.
    fn elapsed(&self) -> Duration;

    /// The system's clock, seconds since 1970.
    fn now(&self) -> u64;
}

/// A response before it is read.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// None if it is too long.
    pub(crate) body: Option<Vec<u8>>,
}

/// A node behind an address.
pub(crate) struct Http {
    runtime: Runtime,
    client: Client,
    url: Url,
    begun: Instant,
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
            begun: Instant::now(),
        };
        Ok((http, node))
    }
}

impl Backend for Http {
    fn request(&self, body: &str) -> Result<Response, String> {
        let asked = self.client.post(self.url.clone());
        let asked = asked.header("content-type", "application/json");
        let asked = asked.body(body.to_owned());
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
            Ok(Response { status, body })
        })
    }

    fn pause(&self, time: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(time).await });
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    }
}

/// Reads the body of a response; none if it is too long.
async fn read(
    mut response: HttpResponse,
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
