//! The AWS adapter against answers that no obedient endpoint gives: refusals, lost answers, odd states, throttling.
#![expect(clippy::panic, reason = "a test that finds something else fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use regend::domain::action::{Action, Reason, Retire};
use regend::domain::group::{GroupKey, InstanceId, Zone};
use regend::engine::ports::Ask;

mod answers;
mod concurrency;
mod lifecycle;
mod observe;
mod perform;
mod traffic;

/// What is answered to a call: HTTP status, type and body; nothing = the connection is cut after the call came in.
type Reply = Option<(u16, &'static str, String)>;
type Form = BTreeMap<String, String>;

/// Serves for as long as the process lives.
fn endpoint(reply: fn(&Form) -> Reply) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap(), reply));
        }
    });
    port
}

fn serve(mut stream: TcpStream, reply: fn(&Form) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, kind, body) = reply(&form(&String::from_utf8(body).ok()?))?;
        let length = body.len();
        let head = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\nx-amzn-RequestId: request-1");
        write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\n\r\n{body}").ok()?;
    }
}

fn form(body: &str) -> Form {
    let decode = |text: &str| {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push(u8::from_str_radix(&part[..2], 16).unwrap().into());
            out.push_str(&part[2..]);
        }
        out
    };
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decode(k), decode(v))).collect()
}

fn xml(action: &str, inner: &str) -> Reply {
    Some((200, "text/xml", format!("<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>")))
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         </ErrorResponse>"
    );
    Some((status, "text/xml", body))
}

fn html(status: u16) -> Reply {
    Some((status, "text/html; charset=utf-8", "<!doctype html><title>Internal Server Error</title>".to_owned()))
}

/// Runs the test again, in a process whose environment points at the endpoint: it is the SDK's own chain that has to
/// find it. Only that process comes to `test`.
fn wired(name: &str, reply: fn(&Form) -> Reply, env: &[(&str, &str)], test: impl AsyncFnOnce()) {
    const INSIDE: &str = "REGEND_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
        return;
    }
    let url = format!("http://127.0.0.1:{}", endpoint(reply));
    let inside = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("aws::{name}"), "--nocapture"])
        .env_clear()
        .envs([("HOME", "/nonexistent"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "eu-west-1")])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_ENDPOINT_URL", &url)])
        .envs(env.iter().copied())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    // A name that no test has would pass as well, with none run.
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&inside.stderr));
}

fn key(name: &str) -> GroupKey {
    GroupKey { account: "default".to_owned(), region: "eu-west-1".to_owned(), name: name.to_owned() }
}

fn ask(name: &str, include_refresh: bool) -> Ask {
    Ask { key: key(name), include_refresh, scalers: include_refresh }
}

fn launch() -> Action {
    Action::Launch { count: 2, zone: Some(Zone::new("eu-west-1b")), token: "regend-1".to_owned() }
}

fn retire() -> Action {
    let (instance, why, decrement) = (InstanceId::new("i-1"), Reason::Stale, true);
    Action::Retire(Retire { instance, why, decrement, successor: None, serving: 3.into(), floor: 3.into() })
}

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup";

fn group(name: &str, instances: &[(&str, &str)], more: &str) -> String {
    let member = |(id, state): &(&str, &str)| {
        format!(
            "<member><InstanceId>{id}</InstanceId><AvailabilityZone>eu-west-1a</AvailabilityZone>\
             <LifecycleState>{state}</LifecycleState><HealthStatus>HEALTHY</HealthStatus>\
             <ProtectedFromScaleIn>true</ProtectedFromScaleIn><LaunchTemplate><LaunchTemplateId>lt-1</LaunchTemplateId>\
             <Version>7</Version></LaunchTemplate></member>"
        )
    };
    let instances: String = instances.iter().map(member).collect();
    format!(
        "<member><AutoScalingGroupName>{name}</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>9</MaxSize>\
         <DesiredCapacity>3</DesiredCapacity><AvailabilityZones><member>eu-west-1a</member><member>eu-west-1b</member>\
         </AvailabilityZones><Instances>{instances}</Instances>{more}</member>"
    )
}
