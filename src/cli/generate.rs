//! `regend generate`: the man page and shell completions, generated from the definition of the command line.

use clap::Subcommand;

#[cfg(feature = "aws")]
use super::check::{CHANGES, LOOKS};
use super::{Failure, exit, print};

#[derive(Debug, Subcommand)]
pub(super) enum Generate {
    /// The man page
    Man,
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
}

pub(super) fn generate(what: &Generate, mut command: clap::Command) -> Result<u8, Failure> {
    let mut text = Vec::new();
    match what {
        Generate::Man => {
            let failed = |error| Failure { code: exit::FAILED, message: format!("cannot write the man page: {error}") };
            manual(command, &mut text).map_err(failed)?;
            text = portable(&String::from_utf8_lossy(&text)).into_bytes();
        }
        Generate::Completions { shell } => clap_complete::generate(*shell, &mut command, "regend", &mut text),
    }
    print(&text)?;
    Ok(exit::DONE)
}

/// One page for the program and all its commands.
fn manual(mut command: clap::Command, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    command.build();
    let commands: Vec<_> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let page = clap_mangen::Man::new(command);
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    for sub in commands {
        writeln!(out, ".SH COMMAND: {}", sub.get_name().to_uppercase())?;
        let nested: Vec<_> = sub.get_subcommands().filter(|nested| nested.get_name() != "help").cloned().collect();
        if let Some(about) = sub.get_about() {
            writeln!(out, "{about}.")?;
        }
        options(&sub, out)?;
        for nested in nested {
            writeln!(out, ".SS {}", nested.get_bin_name().unwrap_or_else(|| nested.get_name()))?;
            if let Some(about) = nested.get_about() {
                writeln!(out, "{about}.")?;
            }
            options(&nested, out)?;
        }
    }
    #[cfg(feature = "aws")]
    permissions(out)?;
    page.render_extra_section(out)
}

/// The permissions that regend needs, as IAM spells them.
#[cfg(feature = "aws")]
fn permissions(out: &mut dyn std::io::Write) -> std::io::Result<()> {
    writeln!(out, ".SH PERMISSIONS\nTo observe groups, regend calls:")?;
    for (api, without) in LOOKS {
        writeln!(out, ".TP\n\\fB{api}\\fR\n{}", without.unwrap_or("required"))?;
    }
    writeln!(out, ".PP\nTo regenerate a group it calls: autoscaling:TerminateInstanceInAutoScalingGroup, {CHANGES}.")
}

/// Escapes non-ASCII characters in the notation that every man page formatter reads.
fn portable(page: &str) -> String {
    page.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) }).collect()
}

/// The arguments of one command. The global ones are listed once, at the top.
fn options(command: &clap::Command, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let own = |arg: &&clap::Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help";
    for arg in command.get_arguments().filter(own) {
        let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        writeln!(out, ".TP\n\\fB{}\\fR", format!("{short}{arg}").replace('-', "\\-"))?;
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let words = |values: Vec<String>, what: &str| match values.is_empty() {
            true => String::new(),
            false => format!(" [{what}: {}]", values.join(", ")),
        };
        let takes_value = arg.get_action().takes_values();
        let possible = arg.get_possible_values();
        let values = possible.iter().filter(|_| takes_value).map(|value| value.get_name().to_owned());
        let values = words(values.collect(), "possible values");
        let defaults = arg.get_default_values().iter().filter(|_| takes_value).map(|v| v.display().to_string());
        let defaults = words(defaults.collect(), "default");
        writeln!(out, "{help}{defaults}{values}")?;
    }
    Ok(())
}
