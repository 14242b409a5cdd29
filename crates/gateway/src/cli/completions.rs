//! `ringback completions`: what a shell needs to complete this command line.

use clap_complete::aot::{Bash, Fish, Zsh, generate};

use super::{Failure, command, text};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(ringback completions bash)       # in ~/.bashrc
  ringback completions zsh > \"${fpath[1]}/_ringback\"
  ringback completions fish > ~/.config/fish/completions/ringback.fish")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (mut command, mut script) = (command(), Vec::new());
    let name = command.get_name().to_owned();
    match args.shell {
        Shell::Bash => generate(Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(Fish, &mut command, name, &mut script),
    }
    Ok(text(&script)?)
}
