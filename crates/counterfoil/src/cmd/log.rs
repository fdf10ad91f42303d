//! `log`, `event erase`, `key show` and `key rotate`: acts on an organisation's log, through the native API.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::{self, OfLog};
use crate::client::Client;
use crate::output::{json as print_json, table, text_at};

/// Longest checkpoint file that is read, in bytes.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 10;

/// Most numbers that one request names, as the server takes them.
const NUMBERS_AT_ONCE: usize = 2_000;

/// `counterfoil log …`
pub fn log(command: &cli::Log) -> anyhow::Result<()> {
    match command {
        cli::Log::Status { of } => status(of),
        cli::Log::Prune { of, below, before, reason } => {
            let body = json!({ "below": below, "before": before, "reason": reason });
            let reply = act(of, "log/prune", &body)?;
            done(of, &reply, &format!("pruned: entries below index {} are gone", text_at(&reply, "/minimum_index")))
        }
        cli::Log::Hold { of, from, reason } => {
            let reply = act(of, "log/hold", &json!({ "from": from, "reason": reason }))?;
            let said = match from {
                Some(from) => format!("held: nothing from number {from} on is pruned"),
                None => "the hold is lifted".to_owned(),
            };
            done(of, &reply, &said)
        }
        cli::Log::Close { of, reason } => {
            let reply = act(of, "log/close", &json!({ "reason": reason }))?;
            let size = text_at(&reply, "/size");
            done(of, &reply, &format!("closed at size {size}; keep its last checkpoint (`verify log --remember`)"))
        }
        cli::Log::Open { of, reason } => {
            let reply = act(of, "log/open", &json!({ "reason": reason }))?;
            done(of, &reply, &format!("opened {}", text_at(&reply, "/origin")))
        }
        cli::Log::Adopt { of, checkpoint } => {
            let reply = act(of, "log/adopt", &json!({ "checkpoint": read_checkpoint(checkpoint)? }))?;
            done(of, &reply, &format!("adopted at size {}; it takes entries again", text_at(&reply, "/size")))
        }
        cli::Log::Acknowledge { of, reason } => {
            let reply = act(of, "log/acknowledge", &json!({ "reason": reason }))?;
            done(of, &reply, "acknowledged")
        }
    }
}

/// `counterfoil event …`
pub fn event(command: &cli::Event) -> anyhow::Result<()> {
    let cli::Event::Erase { of, numbers, ground, ordered_by } = command;
    let numbers = numbers_of(numbers)?;
    let mut erased = 0;
    let mut replies = Vec::new();
    // One request waits for its files to be written anew, so as much as it takes goes into it.
    for seqs in numbers.chunks(NUMBERS_AT_ONCE) {
        let body = json!({ "seqs": seqs, "ground": ground, "ordered_by": ordered_by });
        let reply = act(of, "erasures", &body).with_context(|| format!("after {erased} events were erased"))?;
        erased += reply["erased"].as_array().map_or(0, Vec::len);
        replies.push(reply);
    }
    if of.remote.json {
        return print_json(&Value::Array(replies));
    }
    let notes: Vec<String> = replies.iter().map(|reply| text_at(reply, "/note")).collect();
    println!("erased {erased} of {} events named; on record as number {}", numbers.len(), notes.join(", "));
    Ok(())
}

/// `counterfoil key show`
pub fn keys(of: &OfLog) -> anyhow::Result<()> {
    let client = Client::new(&of.remote)?;
    let reply = client.get(&format!("{}/keys", log_path(&client, of)?))?;
    if of.remote.json {
        return print_json(&reply["keys"]);
    }
    let keys = reply["keys"].as_array().context("the server's reply holds no list `keys`")?;
    let columns = ["/first_size", "/last_size", "/believed_size", "/reason", "/vkey"];
    let rows: Vec<_> = keys.iter().map(|key| columns.map(|at| text_at(key, at)).to_vec()).collect();
    table(&["FROM SIZE", "TO SIZE", "BELIEVED TO", "REPLACED BECAUSE", "KEY"], &rows)
}

/// `counterfoil key rotate`
pub fn rotate(of: &OfLog, reason: &str, believed_size: Option<u64>) -> anyhow::Result<()> {
    let reply = act(of, "log/rotate-key", &json!({ "reason": reason, "believed_size": believed_size }))?;
    done(
        of,
        &reply,
        &format!("the log signs with {} from size {}", text_at(&reply, "/vkey"), text_at(&reply, "/tree_size")),
    )
}

fn status(of: &OfLog) -> anyhow::Result<()> {
    let client = Client::new(&of.remote)?;
    let state = client.get(&format!("{}/state", log_path(&client, of)?))?;
    if of.remote.json {
        return print_json(&state);
    }
    for (name, at) in [
        ("state", "/state"),
        ("signed size", "/signed_size"),
        ("root", "/root"),
        ("last entry", "/last_recorded_at"),
        ("pruned below index", "/minimum_index"),
        ("held from number", "/legal_hold"),
        ("last verified", "/last_verification/at"),
        ("verdict", "/last_verification/verdict"),
        ("entries read", "/last_verification/entries_read"),
        ("first damaged", "/last_verification/first_damaged"),
    ] {
        let text = text_at(&state, at);
        if !text.is_empty() {
            println!("{name}: {text}");
        }
    }
    let list = |member: &Value| -> Vec<String> {
        member.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let reasons = list(&state["reasons"]);
    if !reasons.is_empty() {
        let known = if state["acknowledged"] == json!(true) { " (acknowledged)" } else { "" };
        println!("wrong with it: {}{known}", reasons.join(", "));
    }
    for former in list(&state["former"]) {
        println!("took the place of: {former}");
    }
    Ok(())
}

/// The address of the organisation's log files.
fn log_path(client: &Client, of: &OfLog) -> anyhow::Result<String> {
    let org = client.org(of.org.as_deref())?;
    let log = client.get(&format!("/v1/orgs/{org}/log"))?;
    match log["path"].as_str() {
        Some(path) => Ok(path.to_owned()),
        None => bail!("the server's reply names no path of the log"),
    }
}

fn act(of: &OfLog, what: &str, body: &Value) -> anyhow::Result<Value> {
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    client.post(&format!("/v1/orgs/{org}/{what}"), body)
}

fn done(of: &OfLog, reply: &Value, said: &str) -> anyhow::Result<()> {
    if of.remote.json {
        return print_json(reply);
    }
    println!("{said}");
    Ok(())
}

fn read_checkpoint(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let input: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?)
    };
    input
        .take(CHECKPOINT_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(text)
}

/// Numbers and ranges of numbers, ascending, each once.
fn numbers_of(texts: &[String]) -> anyhow::Result<Vec<u64>> {
    /// A longer list is a slip of the finger.
    const NUMBERS_MAX: u64 = 1_000_000;
    let mut numbers = std::collections::BTreeSet::new();
    for text in texts {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<u64>().with_context(|| format!("{text:?} is no number"));
        let (first, last) = (number(first)?, number(last)?);
        if first == 0 || last < first || last - first >= NUMBERS_MAX {
            bail!("{text:?} is no range of numbers: they begin at 1, and at most {NUMBERS_MAX} are taken at once");
        }
        numbers.extend(first..=last);
    }
    Ok(numbers.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_taken_in_order_and_once() {
        let of = |texts: &[&str]| numbers_of(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["9", "3-5", "4"]).unwrap(), [3, 4, 5, 9]);
        for wrong in ["0", "5-3", "x", "1-", "1-99999999"] {
            assert!(of(&[wrong]).is_err(), "{wrong}");
        }
    }
}
