//! An AWS-like endpoint in a process of its own, and the real binary run against it.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

mod wire;

pub(crate) use wire::{Gate, Moment, Point, SlowWire};

/// moto, stock or patched; it ends when this is dropped, and by itself when this process dies.
pub(crate) struct Endpoint {
    server: Child,
    pub(crate) port: u16,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn python(script: &str) -> Command {
    let venv = root().join(".venv/bin/python");
    assert!(venv.exists(), "{} is missing: `make test` sets it up", venv.display());
    let mut command = Command::new(venv);
    command.arg("-B").arg(root().join("tests/aws").join(script));
    command
}

impl Endpoint {
    /// moto as it is: AWS's wire formats, but everything happens at once.
    pub(crate) fn stock() -> Self {
        Self::start("stock.py", &[])
    }

    /// moto patched to behave as AWS does, in seconds where AWS takes minutes.
    pub(crate) fn faithful(flags: &[&str]) -> Self {
        Self::start("faithful.py", flags)
    }

    fn start(script: &str, flags: &[&str]) -> Self {
        let mut server = python(script).args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{script} did not start: {line:?}"));
        Self { server, port: u16::try_from(ready["port"].as_u64().unwrap()).unwrap() }
    }

    /// Creates groups; the flags are those of seed.py.
    pub(crate) fn seed(&self, flags: &[&str]) -> Value {
        let made = self.python("seed.py", flags);
        self.http("POST", "calls/reset", "");
        made
    }

    /// One group as it is now, without its targets: cheaper than `show`.
    pub(crate) fn group(&self, group: &str) -> Value {
        self.http("GET", "groups", "")[group].clone()
    }

    /// Gives a tag that the group has another value, unseen by the log.
    pub(crate) fn retag(&self, group: &str, key: &str, value: &str) {
        self.http("POST", "tag", &json!({"group": group, "key": key, "value": value}).to_string());
    }

    /// What the endpoint says of a group, after the changes that the flags of show.py ask for.
    pub(crate) fn show(&self, flags: &[&str]) -> Value {
        self.python("show.py", flags)
    }

    fn python(&self, script: &str, flags: &[&str]) -> Value {
        let out = python(script).arg("--port").arg(self.port.to_string()).args(flags).output().unwrap();
        assert!(out.status.success(), "{script} {flags:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    pub(crate) fn set(&self, settings: &Value) {
        self.http("POST", "set", &settings.to_string());
    }

    pub(crate) fn watch(&self, group: &str) -> Value {
        self.http("GET", "watch", "")[group].clone()
    }

    /// Every change of a group's counts since the last reset, in order, with its time in seconds as `t`.
    pub(crate) fn changes(&self, group: &str) -> Vec<Value> {
        self.http("GET", "watch?changes", "")[group]["changes"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn reset_watch(&self) {
        self.http("POST", "watch/reset", "");
    }

    pub(crate) fn calls(&self) -> Value {
        self.http("GET", "calls", "")
    }

    /// How many calls of each action were throttled.
    pub(crate) fn refused(&self) -> Value {
        self.http("GET", "refused", "")
    }

    /// Mutating calls of one action, in order.
    pub(crate) fn log(&self, action: &str) -> Vec<Value> {
        let log = self.http("GET", "log", "");
        log.as_array().unwrap().iter().filter(|call| call["action"] == action).cloned().collect()
    }

    /// Forgets the calls that were made so far.
    pub(crate) fn forget(&self) {
        self.http("POST", "calls/reset", "");
    }

    /// Every call that was meant to change something, in order; not what `check` asks about an instance that is none.
    pub(crate) fn mutations(&self) -> Vec<String> {
        let log = self.http("GET", "log", "");
        let calls = log.as_array().unwrap().iter().filter(|call| call["params"]["InstanceId"] != "i-00000000000000000");
        calls.map(|call| call["action"].as_str().unwrap().to_owned()).collect()
    }

    /// From now on this action answers so; a reason of `None` lets it through again.
    pub(crate) fn refuse(&self, action: &str, code: Option<&str>) {
        let message = format!("User: arn:aws:iam::123456789012:user/ops is not authorized to perform: {action}");
        let rule = |code| json!({action: {"code": code, "message": message, "status": 403, "times": 10_000}});
        self.set(&json!({"fail": code.map_or_else(|| json!({}), rule)}));
    }

    fn http(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} /regend/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or(Value::Null)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Ours alone: it was started above, and nothing else has its handle.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The real binary in a directory of its own.
pub(crate) struct Regend {
    pub(crate) dir: TempDir,
    port: u16,
}

impl Regend {
    /// With a configuration; `poll_interval` and `warmup` are short because the endpoint's seconds stand for minutes.
    pub(crate) fn new(endpoint: &Endpoint, policy: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let config =
            format!("[aws]\npoll_interval = \"1s\"\n[policy]\nwarmup = \"0s\"\n{policy}\n[[groups]]\nname = \"*\"\n");
        std::fs::write(dir.path().join("regend.toml"), config).unwrap();
        Self { dir, port: endpoint.port }
    }

    /// With a configuration that is given whole, against whatever listens on the port.
    pub(crate) fn configured(port: u16, config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("regend.toml"), config).unwrap();
        Self { dir, port }
    }

    /// The same configuration and state, against another port.
    pub(crate) fn through(self, port: u16) -> Self {
        Self { port, ..self }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command
            .args(args)
            .env("REGEND_CONFIG", self.dir.path().join("regend.toml"))
            .arg("--state-dir")
            .arg(self.state_dir())
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        Done::from(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// Starts it and lets it run.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args), self.dir.path())
    }

    /// `audit list --output json` with these filters, parsed line by line.
    #[track_caller]
    pub(crate) fn audit(&self, filters: &[&str]) -> Vec<Value> {
        let done = self.run(&[&["audit", "list", "--output", "json"], filters].concat());
        assert_eq!(done.code, 0, "{done}");
        done.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON: {e}: {line}")))
            .collect()
    }
}

/// The binary while it runs. What it prints goes to files, so that it can be read meanwhile.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    pub(crate) fn start(command: &mut Command, dir: &Path) -> Self {
        let n = std::fs::read_dir(dir).unwrap().count();
        let (out, err) = (dir.join(format!("{n}.out")), dir.join(format!("{n}.err")));
        let file = |path: &Path| Stdio::from(File::create(path).unwrap());
        let child = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
        Self { child, out, err }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, so long at most.
    #[track_caller]
    pub(crate) fn ends_within(&mut self, limit: Duration) -> Done {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if began.elapsed() > limit => panic!("still running after {limit:?}; it said\n{}", self.said()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        Done { code: status.code().unwrap_or(-1), out: read(&self.out), err: read(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary without anything of this machine's own in its environment.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regend"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// How a run of the binary ended.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// Waits until something is so; the endpoint's clock is real, so this is the one place that waits.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(120), "never came: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The instances of a group, from seed.py's answer or show.py's.
pub(crate) fn ids(group: &Value) -> Vec<String> {
    match group {
        Value::Array(ids) => ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect(),
        Value::Object(instances) => instances.keys().cloned().collect(),
        other => panic!("no instances in {other}"),
    }
}
