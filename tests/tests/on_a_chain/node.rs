//! A chain of its own for each test, and a wire to it that can be cut, or tell lies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A node of a development chain on loopback.
pub struct Anvil {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Anvil {
    /// Starts a node on a free port.
    pub fn start(arguments: &[&str]) -> Self {
        let binary = std::env::var("QUIRE_ANVIL")
            .expect("QUIRE_ANVIL names the anvil to be used; see `make evm`");
        let mut child = Command::new(binary)
            .args(["--port", "0", "--host", "127.0.0.1", "--hardfork", "osaka"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                line.unwrap()
                    .strip_prefix("Listening on ")
                    .map(str::to_owned)
            })
            .unwrap();
        // The rest is read so that the node never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url: format!("http://{}", address.trim()),
        }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What becomes of an answer.
pub enum Fate {
    /// It arrives as the node gave it, or as it was changed.
    Arrives,
    /// The connection is cut before it arrives.
    Lost,
}

type Hook = Box<dyn FnMut(&str, &Value, &mut Value) -> Fate + Send>;

/// A wire to a node.
pub struct Wire {
    /// The near end.
    pub url: String,
    hook: Arc<Mutex<Hook>>,
}

impl Wire {
    /// Lays a wire to a node. `hook` sees the method, its arguments and the node's answer.
    pub fn to(
        node: &Anvil,
        hook: impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let far = node.url.strip_prefix("http://").unwrap().to_owned();
        let hook: Arc<Mutex<Hook>> = Arc::new(Mutex::new(Box::new(hook)));
        let shared = Arc::clone(&hook);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection that ends early is no fault of the wire.
                drop(carry(stream, &far, &shared));
            }
        });
        Self { url, hook }
    }

    /// Changes what the wire does from now on.
    pub fn set(&self, hook: impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static) {
        *self.hook.lock().unwrap() = Box::new(hook);
    }
}

/// One request and its answer; then the connection is closed.
fn carry(mut near: TcpStream, far: &str, hook: &Mutex<Hook>) -> std::io::Result<()> {
    let question = body(&mut near)?;
    let mut stream = TcpStream::connect(far)?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {far}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        question.len()
    )?;
    stream.write_all(&question)?;
    let mut answer: Value = serde_json::from_slice(&body(&mut stream)?)?;
    let question: Value = serde_json::from_slice(&question)?;
    let method = question["method"].as_str().unwrap_or_default();
    let fate = (hook.lock().unwrap())(method, &question["params"], &mut answer);
    if let Fate::Lost = fate {
        return Ok(());
    }
    let answer = serde_json::to_vec(&answer)?;
    write!(
        near,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    )?;
    near.write_all(&answer)
}

/// The body of a message whose length is in its head.
fn body(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Nothing happens to answers.
pub fn faithful(_: &str, _: &Value, _: &mut Value) -> Fate {
    Fate::Arrives
}

/// Receipts are changed wherever the node shows them.
pub fn changing_receipts(
    mut change: impl FnMut(&mut Value) + Send + 'static,
) -> impl FnMut(&str, &Value, &mut Value) -> Fate + Send + 'static {
    move |method, _, answer| {
        match (method, &mut answer["result"]) {
            ("eth_getTransactionReceipt", receipt @ Value::Object(_)) => change(receipt),
            ("eth_getBlockReceipts", Value::Array(receipts)) => {
                receipts.iter_mut().for_each(&mut change);
            }
            _ => {}
        }
        Fate::Arrives
    }
}

/// An error of a node.
pub fn error(message: &str) -> Value {
    json!({ "code": -32000, "message": message })
}
