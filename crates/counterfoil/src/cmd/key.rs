//! `key`: encryption keys of an organisation, through the native API. Public keys only; private ones stay where they are.
//! The keys that sign logs are in `cmd/log.rs`.

use std::io::Read as _;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli;
use crate::client::{Client, escaped};
use crate::output::{json as print_json, table, text_at};

/// Longest key file that is read, in bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// `counterfoil key …`
pub fn key(command: &cli::Key) -> anyhow::Result<()> {
    match command {
        cli::Key::List { remote, org } => {
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            let reply = client.get(&format!("/v1/orgs/{org}/keys"))?;
            if remote.json {
                return print_json(&reply["keys"]);
            }
            let keys = reply["keys"].as_array().context("the server's reply holds no list `keys`")?;
            let rows: Vec<_> = keys
                .iter()
                .map(|key| {
                    ["/name", "/state", "/scheme", "/activated_at", "/retired_at"].map(|at| text_at(key, at)).to_vec()
                })
                .collect();
            table(&["NAME", "STATE", "SCHEME", "ACTIVATED", "RETIRED"], &rows)
        }
        cli::Key::Add { remote, org, name, file, activate } => {
            let text = read_key(file)?;
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            let mut reply =
                client.post(&format!("/v1/orgs/{org}/keys"), &json!({ "name": name, "public_key": text }))?;
            if *activate {
                reply = client.post(&action(&org, name, "activate"), &json!({}))?;
            }
            show(remote, &reply)
        }
        cli::Key::Show { of } => super::log::keys(of),
        cli::Key::Rotate { of, reason, believed_size } => super::log::rotate(of, reason, *believed_size),
        cli::Key::Activate { remote, org, name } => {
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            show(remote, &client.post(&action(&org, name, "activate"), &json!({}))?)
        }
        cli::Key::Retire { remote, org, name, then_clear } => {
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            show(remote, &client.post(&action(&org, name, "retire"), &json!({ "then_clear": then_clear }))?)
        }
    }
}

fn action(org: &str, name: &str, verb: &str) -> String {
    format!("/v1/orgs/{org}/keys/{}/{verb}", escaped(name))
}

fn read_key(file: &std::path::Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let input: Box<dyn std::io::Read> = if file == std::path::Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?)
    };
    input.take(KEY_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("reading {}", file.display()))?;
    Ok(text)
}

fn show(remote: &cli::Remote, key: &Value) -> anyhow::Result<()> {
    if remote.json {
        return print_json(key);
    }
    println!("key {} ({}) is {}", text_at(key, "/name"), text_at(key, "/scheme"), text_at(key, "/state"));
    Ok(())
}
