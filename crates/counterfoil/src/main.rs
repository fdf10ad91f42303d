//! The program: reads the command line, builds the parts, decides nothing about audit trails.
//!
//! `cli` holds every verb and flag; `cmd` does the work of each; `server` and `tls` are the listeners; `config` resolves
//! settings; `console` serves the web page; `client` speaks the native API for the verbs that work over a server; `import` reads foreign log files;
//! `verify` checks published logs and proofs; `witness` is a witness; `outbound` calls witnesses and time-stamp
//! authorities; `recorder` records terminals; `history` makes up a past for `demo`; `telemetry` is log lines and metrics.

mod cli;
mod client;
mod cmd;
mod config;
mod console;
mod fonts;
mod history;
mod import;
mod outbound;
mod output;
mod recorder;
mod server;
mod telemetry;
mod tls;
mod verify;
mod witness;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    if let Err(error) = telemetry::start(&cli.log, cli.log_json) {
        eprintln!("counterfoil: {error:#}");
        return ExitCode::from(2);
    }
    match run(&cli, &matches) {
        Ok(code) => code,
        // A reader that went away (`counterfoil query … | head`) is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("counterfoil: {error:#}");
            if error.downcast_ref::<output::Usage>().is_some() {
                return ExitCode::from(2);
            }
            ExitCode::from(if is_verifying(&cli.command) { 3 } else { 1 })
        }
    }
}

fn run(cli: &Cli, matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match &cli.command {
        Command::Init(args) => cmd::init::run(args).map(done),
        Command::Serve(args) => {
            let sources = |id: &str| matches.subcommand().and_then(|(_, m)| m.value_source(id));
            let settings = config::Settings::resolve(args, config::Anywhere::of(cli), &sources)?;
            cmd::serve::run(&settings).map(done)
        }
        Command::Config(cli::Config::Show { serve, json }) => {
            let leaf = matches.subcommand().and_then(|(_, m)| m.subcommand());
            let sources = |id: &str| leaf.and_then(|(_, m)| m.value_source(id));
            let settings = config::Settings::resolve(serve, config::Anywhere::of(cli), &sources)?;
            cmd::serve::show(&settings, *json).map(done)
        }
        Command::Demo(args) => {
            let sources = |id: &str| matches.subcommand().and_then(|(_, m)| m.value_source(id));
            cmd::demo::run(args, config::Anywhere::of(cli), &sources).map(done)
        }
        Command::Login(args) => cmd::admin::login(args).map(done),
        Command::Org(command) => cmd::admin::org(command).map(done),
        Command::User(command) => cmd::admin::user(command).map(done),
        Command::Token(command) => cmd::admin::token(command).map(done),
        Command::Key(command) => cmd::key::key(command).map(done),
        Command::Log(command) => cmd::log::log(command).map(done),
        Command::Event(command) => cmd::log::event(command).map(done),
        Command::Decrypt(args) => cmd::decrypt::run(args),
        Command::Import(args) => cmd::import::run(args),
        Command::Query(args) => cmd::events::query(args),
        Command::Tail(args) => cmd::events::tail(args).map(done),
        Command::Export(args) => cmd::events::export(args).map(done),
        Command::Upload(args) => cmd::upload::run(args).map(done),
        Command::Record(args) => cmd::record::run(args),
        Command::Play(args) => cmd::play::run(args).map(done),
        Command::Sessions(command) => cmd::sessions::run(command).map(done),
        Command::Users(command) => cmd::users::run(command),
        Command::Rules(command) => cmd::rules::run(command).map(done),
        Command::Verify(cli::Verify::Log(args)) => cmd::verify::log(args),
        Command::Verify(cli::Verify::Proof(args)) => cmd::verify::single::proof(args),
        Command::Verify(cli::Verify::Bundle(args)) => cmd::verify::single::bundle(args),
        Command::Verify(cli::Verify::Extends(args)) => cmd::verify::single::extends(args),
        Command::Verify(cli::Verify::Search(args)) => cmd::verify::search::search(args),
        Command::Prove(cli::Prove::Event(args)) => cmd::prove::event(args),
        Command::Prove(cli::Prove::Search(args)) => cmd::prove::search(args),
        Command::Prove(cli::Prove::Extends(args)) => cmd::prove::extends(args),
        Command::Prove(cli::Prove::Log(args)) => cmd::prove::log(args),
        Command::Prove(cli::Prove::Timestamp(args)) => cmd::prove::timestamp(args).map(done),
        Command::Watch(args) => cmd::watch::run(args),
        Command::Witness(args) => cmd::witness::run(args, cli.config.as_deref()).map(done),
        Command::Fsck(args) => cmd::verify::fsck(args),
        Command::Rebuild(args) => cmd::init::rebuild(args).map(done),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "counterfoil", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Verbs whose exit status 1 means "tainted", so that a failure to run must not look like it.
fn is_verifying(command: &Command) -> bool {
    match command {
        Command::Verify(_) | Command::Prove(_) | Command::Watch(_) | Command::Fsck(_) => true,
        Command::Users(command) => matches!(command, cli::Users::Recompute { .. }),
        Command::Query(args) => args.verify,
        _ => false,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
