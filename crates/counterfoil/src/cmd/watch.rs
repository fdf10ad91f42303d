//! `watch`: follows a log by its tiles, so that any tlog-tiles log will do. Every new checkpoint must extend the remembered
//! one; the first that does not ends it with status 1.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tlog::checkpoint::Checkpoint;

use super::verify::{is_address, trust};
use crate::cli;
use crate::client;
use crate::output;
use crate::verify::files::{Address, Files, Folder};
use crate::verify::growth;
use crate::verify::memory::Memory;
use crate::verify::tiles::Fault;
use crate::verify::trust::{NOBODY_OUTSIDE, Trust, Unopened};

/// How long one file may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one look came to.
enum Look {
    /// The first checkpoint: remembered, compared with nothing.
    First(Checkpoint),
    /// Extends the remembered one, which had this size.
    Extends(u64, Checkpoint),
    /// Does not, and why.
    Refused(String),
    /// Nobody can say this time.
    Unknown(String),
}

/// `counterfoil watch`
pub fn run(args: &cli::Watch) -> anyhow::Result<ExitCode> {
    let trust = trust(&args.trust)?;
    if !trust.knows_a_log() {
        return Err(output::usage("give the log's public key with --vkey, or a --policy with a log line"));
    }
    let source: Box<dyn Files> = match is_address(&args.source) {
        true => {
            let agent = client::agent(args.reach.ca_cert.as_deref(), Some(PATIENCE))?;
            Box::new(Address::new(agent, &args.source, args.reach.token.clone()))
        }
        false => Box::new(Folder(Path::new(&args.source).to_owned())),
    };
    if trust.policy.is_none() {
        eprintln!("note: {NOBODY_OUTSIDE}; what is remembered here is what you have");
    }
    let mut looks = 0;
    loop {
        let look = look(&*source, &trust, &args.remember)?;
        show(&look, args.json)?;
        // A log out of reach may be back next time; only the last look of a bounded watch decides the status.
        let decided = match look {
            Look::Refused(_) => return Ok(ExitCode::from(1)),
            Look::Unknown(_) => false,
            Look::First(_) | Look::Extends(..) => true,
        };
        looks += 1;
        if args.looks == Some(looks) {
            return Ok(if decided { ExitCode::SUCCESS } else { ExitCode::from(3) });
        }
        std::thread::sleep(args.every);
    }
}

/// Looks once. The memory is read and written anew each time: others may keep it too.
fn look(source: &dyn Files, trust: &Trust, remember: &Path) -> anyhow::Result<Look> {
    let mut memory = Memory::read(remember)?;
    let (note, opened) = match trust.open_checkpoint(source) {
        Ok(found) => found,
        Err(Unopened::Missing(why)) => return Ok(Look::Unknown(why)),
        Err(Unopened::Refused(why)) => return Ok(Look::Refused(format!("signature_invalid: {why}"))),
    };
    if let Some(why) = opened.policy.unmet() {
        return Ok(Look::Refused(format!("policy_unmet: {why}")));
    }
    if let Some(learnt) = opened.learnt() {
        eprintln!("note: {learnt}");
    }
    let new = opened.signed.checkpoint.clone();
    let look = match memory.get(&new.origin) {
        None => Look::First(new),
        Some(old) => match growth::extends(source, &trust.known(&opened), &old, &new) {
            Ok(()) => Look::Extends(old.size, new),
            Err(Fault::Missing(what)) => return Ok(Look::Unknown(what)),
            Err(Fault::Changed(what)) => return Ok(Look::Refused(what)),
        },
    };
    memory.remember(&opened.signed.checkpoint.origin, &note);
    memory.write(remember).context("the checkpoint was verified and could not be remembered")?;
    Ok(look)
}

fn show(look: &Look, as_json: bool) -> anyhow::Result<()> {
    let at = jiff::Timestamp::now();
    if as_json {
        let (verdict, head, why) = match look {
            Look::First(head) | Look::Extends(_, head) => ("verified", Some(head), None),
            Look::Refused(why) => ("tainted", None, Some(why)),
            Look::Unknown(why) => ("undecided", None, Some(why)),
        };
        return output::json(&json!({
            "at": at.to_string(), "verdict": verdict, "origin": head.map(|head| &head.origin), "size": head.map(|head| head.size),
            "root": head.map(|head| head.root.to_string()), "reason": why,
        }));
    }
    match look {
        Look::First(head) => println!("{at:.0}  {}  size {} (first look, remembered)", head.origin, head.size),
        Look::Extends(old, head) if *old == head.size => {
            println!("{at:.0}  {}  size {} (the same)", head.origin, head.size)
        }
        Look::Extends(old, head) => println!("{at:.0}  {}  size {} extends size {old}", head.origin, head.size),
        Look::Refused(why) => println!("{at:.0}  TAINTED  {}", output::printable(why)),
        Look::Unknown(why) => println!("{at:.0}  undecided: {}", output::printable(why)),
    }
    Ok(())
}
