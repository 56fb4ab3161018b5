//! The command line: parses the arguments, runs the command, and maps its result to an exit code.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::adapters::config::{Config, ConfigError};
use crate::engine::ports::JournalError;
use crate::engine::stop::Stop;

pub mod audit;
#[cfg(feature = "aws")]
mod check;
#[cfg(feature = "aws")]
mod daemon;
mod demo;
mod generate;
#[cfg(feature = "aws")]
mod orders;
#[cfg(feature = "aws")]
mod plan;
#[cfg(feature = "aws")]
mod results;
#[cfg(feature = "aws")]
mod run;
#[cfg(feature = "aws")]
mod select;
mod show;
pub mod simulate;
#[cfg(feature = "aws")]
mod status;

/// The default path of the configuration file.
const CONFIG: &str = "/etc/regend/regend.toml";

/// The exit codes, on which other programs depend.
pub mod exit {
    pub const DONE: u8 = 0;
    /// A regeneration failed or was aborted, the journal is not intact, an asked-for condition is not met.
    pub const FAILED: u8 = 1;
    /// A mistake in the arguments or the configuration.
    pub const USAGE: u8 = 2;
    /// Something was skipped, held or cannot be proved.
    pub const HELD: u8 = 3;
    /// AWS or the store could not be reached.
    pub const UNREACHABLE: u8 = 4;
}

/// Replaces every instance of EC2 Auto Scaling groups with a fresh one. Each replacement is verified before the old
/// instance is drained, and every step is recorded.
#[derive(Debug, Parser)]
#[command(name = "regend", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 success; 1 a regeneration failed or was aborted, or the journal is damaged;
2 wrong arguments or configuration; 3 something was skipped or held; 4 AWS or the journal is unreachable.

AWS credentials, region and endpoints come from the standard chain of the AWS SDK: AWS_PROFILE,
AWS_REGION, AWS_ENDPOINT_URL, the instance profile and so on.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options, before or after the command")]
struct Global {
    /// The configuration file [default: /etc/regend/regend.toml]
    #[arg(long, global = true, env = "REGEND_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The directory of the journal and the lock file [default: `daemon.state_dir`, /var/lib/regend]
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Log more to stderr; repeat it to log every AWS call
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the scheduler, which regenerates each group on its own schedule
    #[cfg(feature = "aws")]
    Daemon,
    /// Regenerate groups now and wait for the result
    #[cfg(feature = "aws")]
    Run(run::RunArgs),
    /// Do nothing to groups and open nothing there until they are resumed
    #[cfg(feature = "aws")]
    Pause(orders::OrderArgs),
    /// Let paused groups go on; with --all also the fleet after too many groups failed
    #[cfg(feature = "aws")]
    Resume(orders::OrderArgs),
    /// End open regenerations now and hand the groups back as they were found
    #[cfg(feature = "aws")]
    Abort(orders::OrderArgs),
    /// Show what a run would do and how long it should take; changes nothing
    #[cfg(feature = "aws")]
    Plan(plan::PlanArgs),
    /// Show for each group its oldest instance, open regeneration, holds and next scheduled run
    #[cfg(feature = "aws")]
    Status(status::StatusArgs),
    /// Check configuration, credentials, permissions and each group's readiness; changes nothing
    #[cfg(feature = "aws")]
    Check(check::CheckArgs),
    /// Regenerate a simulated group as a demonstration, without AWS and without configuration
    Demo(demo::DemoArgs),
    /// Try a policy on a simulated group, and report duration, lowest serving capacity and cost; changes nothing
    Simulate(simulate::SimulateArgs),
    /// Query the journal
    Audit(audit::AuditArgs),
    /// Write the man page or shell completions to stdout
    #[command(hide = true)]
    Generate {
        #[command(subcommand)]
        what: generate::Generate,
    },
}

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// An error that ends the program, with its exit code.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

/// Runs the program, and returns its exit code.
pub fn main() -> u8 {
    let cli = Cli::try_parse().unwrap_or_else(|error| suggest_command(error).exit());
    init_log(&cli);
    PROGRAM.get_or_init(|| cli.global.program());
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            say(&format!("regend: {failure}"));
            failure.code
        }
    }
}

/// Suggests a command that differs by one edit or two swapped letters. The similarity measure of clap does not suggest
/// `run` for `rnu`.
fn suggest_command(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    if let (Some(ContextValue::String(typed)), None) =
        (error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::SuggestedSubcommand))
    {
        let typed = typed.clone();
        let command = Cli::command();
        let names = command.get_subcommands().map(clap::Command::get_name);
        let near: Vec<_> =
            names.filter(|name| strsim::osa_distance(name, &typed) <= 1).map(ToOwned::to_owned).collect();
        if !near.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
        }
    }
    error
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let global = &cli.global;
    match cli.command {
        #[cfg(feature = "aws")]
        Command::Daemon => block_on(daemon::daemon(global)),
        #[cfg(feature = "aws")]
        Command::Run(args) => block_on(run::run(global, &args)),
        #[cfg(feature = "aws")]
        Command::Pause(args) => block_on(orders::pause(global, &args)),
        #[cfg(feature = "aws")]
        Command::Resume(args) => block_on(orders::resume(global, &args)),
        #[cfg(feature = "aws")]
        Command::Abort(args) => block_on(orders::abort(global, &args)),
        #[cfg(feature = "aws")]
        Command::Plan(args) => block_on(plan::plan(global, &args)),
        #[cfg(feature = "aws")]
        Command::Status(args) => block_on(status::status(global, &args)),
        #[cfg(feature = "aws")]
        Command::Check(args) => block_on(check::check(global, &args)),
        Command::Demo(args) => block_on(demo::demo(&args)),
        Command::Simulate(args) => block_on(simulate::simulate(global, &args)),
        Command::Audit(args) => {
            let state_dir = global.state_dir(&global.config()?);
            block_on(async { Ok(audit::run(&args, &state_dir, &mut std::io::stdout().lock()).await?) })
        }
        Command::Generate { what } => generate::generate(&what, Cli::command()),
    }
}

fn block_on<F: Future<Output = Result<u8, Failure>>>(future: F) -> Result<u8, Failure> {
    // One thread is enough, because regend spends its time waiting for AWS.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: exit::FAILED, message: format!("cannot start: {error}") })?;
    // The tasks of the engine share its state, so they stay on this thread.
    let result = tokio::task::LocalSet::new().block_on(&runtime, future);
    // A DNS lookup runs on a thread that cannot be stopped, so the shutdown does not wait for it.
    runtime.shutdown_background();
    result
}

/// Writes a result to stdout. A closed pipe (`… | head`) is not an error.
fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure { code: exit::FAILED, message: format!("cannot write to stdout: {error}") })
        }
        _ => Ok(()),
    }
}

/// Writes a line to stderr. Unlike `eprintln!` it does not panic if stderr is closed, because that must not stop a
/// regeneration.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Initializes the log for developers. Output for users is printed by the commands.
fn init_log(cli: &Cli) {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;
    let level = match cli.global.verbose {
        0 => "error",
        1 => "regend=info,error",
        2 => "regend=debug,warn",
        _ => "debug",
    };
    let from_env = std::env::var("REGEND_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
    let filter = from_env.or_else(|| level.parse().ok()).unwrap_or_default();
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours).log_internal_errors(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

impl Global {
    /// The program and the global options that were given.
    fn program(&self) -> String {
        let option = |name: &str, path: &Option<PathBuf>| {
            path.as_ref().map_or_else(String::new, |path| format!(" {name} {}", path.display()))
        };
        format!("regend{}{}", option("--config", &self.config), option("--state-dir", &self.state_dir))
    }

    /// The named configuration, otherwise the one at the default path, otherwise the defaults.
    fn config(&self) -> Result<Config, Failure> {
        let (path, named) = match &self.config {
            Some(path) => (path.as_path(), true),
            None => (Path::new(CONFIG), false),
        };
        match Config::load(path) {
            Ok(config) => Ok(config),
            Err(ConfigError::Missing { .. }) if !named => Ok(Config::default()),
            Err(ConfigError::Invalid(problems)) if problems.len() > 1 => {
                let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
                let count = problems.len();
                Err(Failure::usage(format!("{count} mistakes in {}:\n{}", path.display(), lines.join("\n"))))
            }
            Err(error) => Err(Failure::usage(error.to_string())),
        }
    }

    fn state_dir(&self, config: &Config) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| config.daemon.state_dir.clone())
    }
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let code = match error {
            JournalError::Damaged { .. } => exit::FAILED,
            JournalError::Write { .. }
            | JournalError::Read { .. }
            | JournalError::TooNew { .. }
            | JournalError::Locked { .. }
            | JournalError::StateDir { .. } => exit::UNREACHABLE,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Journal(error) => error.into(),
            Stop::Illegal(_) | Stop::DetectionDiverged(_) => Self { code: exit::FAILED, message: stop.to_string() },
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<JournalError>() {
            Ok(error) => error.into(),
            Err(error) => Self { code: exit::FAILED, message: format!("{error:#}") },
        }
    }
}

/// The user that runs this program, for the journal: with `sudo` the user who called it.
#[cfg(feature = "aws")]
fn actor() -> String {
    let uid = rustix::process::getuid();
    let behind_sudo = std::env::var("SUDO_USER").ok().filter(|name| uid.is_root() && !name.is_empty());
    let name = behind_sudo.or_else(|| {
        let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
        let wanted = uid.as_raw().to_string();
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == wanted).then(|| name.to_owned())
        })
    });
    format!("user:{}", name.unwrap_or_else(|| uid.as_raw().to_string()))
}

/// The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) asks the control loop to stop after the call in flight;
/// an open regeneration stays resumable. The second one ends the program at once with `code`, and with what `words` says
/// is left behind. Only the response of the call in flight is lost, and the next start determines its effect by
/// observation.
fn stop_on_signals(clock: &crate::engine::clock::Wall, code: u8, words: impl Fn() -> String + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    let clock = clock.clone();
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    tokio::task::spawn_local(async move {
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
        let mut next = async || {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
        };
        next().await;
        say("regend: stopping after the call in flight; a second signal stops at once");
        clock.stop();
        next().await;
        say(&format!("regend: stopped at once; {}", words()));
        std::process::exit(i32::from(code));
    });
}

/// How this program was called, up to the command: what a message tells the user to run must find the same
/// configuration and journal.
static PROGRAM: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// See [`PROGRAM`].
fn program() -> &'static str {
    PROGRAM.get().map_or("regend", String::as_str)
}
