//! Wires to the endpoint that are slow, or on which a call can be stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Endpoint;

/// A wire to the endpoint on which calls of one action take their time.
pub(crate) struct SlowWire {
    pub(crate) port: u16,
    armed: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
}

impl SlowWire {
    /// Requests with these bytes in them are held for so long before they go on.
    pub(crate) fn new(endpoint: &Endpoint, needle: &str, delay: Duration) -> Self {
        let wire = Self::later(endpoint, needle, delay);
        wire.arm();
        wire
    }

    /// The same, from when it is armed.
    pub(crate) fn later(endpoint: &Endpoint, needle: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), endpoint.port);
        let flag = || Arc::new(AtomicBool::new(false));
        let (armed, seen, needle) = (flag(), flag(), needle.to_owned());
        let wire = Self { port, armed: Arc::clone(&armed), seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let Ok(there) = TcpStream::connect(("127.0.0.1", to)) else { return };
                let (mut back, mut home) = (there.try_clone().unwrap(), here.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut back, &mut home));
                let (needle, armed, seen) = (needle.clone(), Arc::clone(&armed), Arc::clone(&seen));
                std::thread::spawn(move || carry(here, there, needle.as_bytes(), (&armed, &seen), delay));
            }
        });
        wire
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Whether such a request has arrived and is held.
    pub(crate) fn has_seen(&self) -> bool {
        self.seen.load(Ordering::SeqCst)
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    needle: &[u8],
    (armed, seen): (&AtomicBool, &AtomicBool),
    delay: Duration,
) {
    let mut chunk = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        if armed.load(Ordering::SeqCst) && chunk[..read].windows(needle.len()).any(|bytes| bytes == needle) {
            seen.store(true, Ordering::SeqCst);
            std::thread::sleep(delay);
        }
        if to.write_all(&chunk[..read]).is_err() {
            return;
        }
    }
}

/// When a call is caught: before AWS hears of it, or when AWS has done it and before the answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// The n-th call, from 1, of the actions that begin so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point(pub(crate) &'static str, pub(crate) usize, pub(crate) Moment);

/// A wire to the endpoint that sees every request, and catches one: its sender gets no answer.
pub(crate) struct Gate {
    pub(crate) port: u16,
    shared: Arc<Passing>,
}

struct Passing {
    trap: Option<Point>,
    /// Action and body of every request, in order.
    calls: Mutex<Vec<(String, String)>>,
    caught: AtomicBool,
    open: AtomicBool,
}

impl Gate {
    pub(crate) fn new(endpoint: &Endpoint, trap: Option<Point>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), endpoint.port);
        let passing =
            Passing { trap, calls: Mutex::default(), caught: AtomicBool::new(false), open: AtomicBool::new(false) };
        let shared = Arc::new(passing);
        let gate = Self { port, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.pass(here, to));
            }
        });
        gate
    }

    /// Whether the call was caught, and done before that where it was to be.
    pub(crate) fn has_caught(&self) -> bool {
        self.shared.caught.load(Ordering::SeqCst)
    }

    /// Hangs up on the caught one.
    pub(crate) fn let_go(&self) {
        self.shared.open.store(true, Ordering::SeqCst);
    }

    /// Action and body of each call so far that was meant to change something, whether it arrived or not.
    pub(crate) fn mutations(&self) -> Vec<(String, String)> {
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().filter(|(action, _)| !action.starts_with("Describe")).cloned().collect()
    }
}

impl Passing {
    /// One request a connection, so that an answer ends where the connection does.
    fn pass(&self, here: TcpStream, to: u16) -> Option<()> {
        let mut home = here.try_clone().ok()?;
        let (head, body) = request(&mut BufReader::new(here))?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let action = text.split('&').find_map(|word| word.strip_prefix("Action=")).unwrap_or_default().to_owned();
        let caught = self.note(action, text);
        if caught != Some(Moment::Before) {
            let mut there = TcpStream::connect(("127.0.0.1", to)).ok()?;
            there.write_all(&[head.as_bytes(), b"Connection: close\r\n\r\n", &body].concat()).ok()?;
            let mut answer = Vec::new();
            there.read_to_end(&mut answer).ok()?;
            if caught.is_none() {
                return home.write_all(&answer).ok();
            }
        }
        self.caught.store(true, Ordering::SeqCst);
        while !self.open.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    fn note(&self, action: String, body: String) -> Option<Moment> {
        let mut calls = self.calls.lock().unwrap();
        calls.push((action.clone(), body));
        let Point(which, nth, moment) = self.trap?;
        let is_it = action.starts_with(which) && calls.iter().filter(|(a, _)| a.starts_with(which)).count() == nth;
        is_it.then_some(moment)
    }
}

/// The head of a request, without its end and what it says of the connection; and the body.
fn request(from: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let lower = line.to_lowercase();
        if let Some(given) = lower.strip_prefix("content-length:") {
            length = given.trim().parse().ok()?;
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            from.read_exact(&mut body).ok()?;
            return Some((head, body));
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
}
