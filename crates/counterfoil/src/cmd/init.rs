//! `init` and `rebuild`: making a data folder, and making its projections again.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use serde_json::json;
use service::{Config, Init, Service};

use super::admin::password_from_stdin;
use crate::cli;
use crate::output;

/// Letters and digits of generated passwords; none that are taken for another.
const PASSWORD_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 24 of 32 letters: 120 bits.
const PASSWORD_LETTERS: usize = 24;

/// `counterfoil init`
pub fn run(args: &cli::Init) -> anyhow::Result<()> {
    let (password, generated) = if args.password_stdin {
        (password_from_stdin()?, false)
    } else if std::io::stdin().is_terminal() && !args.json {
        let first =
            rpassword::prompt_password(format!("Password for {}: ", args.admin)).context("asking for the password")?;
        let second = rpassword::prompt_password("Again: ").context("asking for the password")?;
        if first != second {
            bail!("the two passwords differ; nothing was made");
        }
        (first, false)
    } else {
        (generate_password()?, true)
    };
    let init = Init {
        org: args.org.clone(),
        admin: args.admin.clone(),
        password: password.clone(),
        audit_host: args.audit_host.clone(),
    };
    let made = Service::init(&Config::new(&args.data), init)?;
    if args.json {
        let mut reply = json!({
            "data": args.data, "organisation": { "id": made.org.to_string(), "name": args.org },
            "admin": { "id": made.admin.to_string(), "login": args.admin }, "origin": made.origin, "vkey": made.vkey,
        });
        if generated {
            reply["admin"]["password"] = json!(password);
        }
        return output::json(&reply);
    }
    println!("made {}", args.data.display());
    println!("organisation:  {} ({})", args.org, made.org);
    println!("administrator: {}", args.admin);
    if generated {
        println!("password:      {password}  (shown only now)");
    }
    println!("log:           {}", made.origin);
    println!("public key:    {}", made.vkey);
    println!("\nKeep the public key somewhere else: with it anybody can check this log without trusting the server.");
    println!("Back up {} apart from the rest.", args.data.join("keys").display());
    println!("Next: counterfoil serve --data {} --listen 127.0.0.1:8080", args.data.display());
    Ok(())
}

/// A password from the system's randomness.
pub fn generate_password() -> anyhow::Result<String> {
    let mut bytes = [0u8; PASSWORD_LETTERS];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("asking the system for randomness: {error}"))?;
    Ok(bytes.iter().map(|b| char::from(PASSWORD_ALPHABET[usize::from(b % 32)])).collect())
}

/// `counterfoil rebuild`
pub fn rebuild(args: &cli::Rebuild) -> anyhow::Result<()> {
    let bar = output::progress(Some(0), "entries", false);
    let rebuilt = Service::rebuild(Config::new(&args.data), &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if args.json {
        return output::json(&json!({ "entries": rebuilt.entries, "documents": rebuilt.documents }));
    }
    println!("read {} entries, indexed {} documents", rebuilt.entries, rebuilt.documents);
    Ok(())
}
