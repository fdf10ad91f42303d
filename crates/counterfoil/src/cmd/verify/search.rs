//! `verify search`: a server verifies what it answers with, and with `--complete` also that nothing was left out.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli;
use crate::client::Client;
use crate::cmd::events::{address, events};
use crate::output;
use crate::verify::Verdict;

/// Events asked for at once.
const PAGE: u64 = 1_000;

/// `counterfoil verify search`
pub fn search(args: &cli::VerifySearch) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.remote)?;
    let mut found = Found::default();
    found.verify_hits(&client, args)?;
    if args.complete {
        found.verify_completeness(&client, args)?;
    }
    found.show(args)
}

/// What came of it.
#[derive(Default)]
struct Found {
    hits: u64,
    tainted: Vec<(u64, String)>,
    undecided: Vec<String>,
    /// Entries whose bodies were evaluated, with --complete.
    evaluated: u64,
    /// In the log and not in the answer.
    left_out: Vec<u64>,
    /// In the answer and not matching.
    surplus: Vec<u64>,
    /// What the server says about outsiders.
    outside: Option<String>,
}

impl Found {
    /// Page by page, up to the head of the first page.
    fn verify_hits(&mut self, client: &Client, args: &cli::VerifySearch) -> anyhow::Result<()> {
        let (mut after, mut end) = (0, None);
        loop {
            let page = client.get(&address(
                client,
                &args.filter,
                &format!("order=oldest&limit={PAGE}&after={after}&verify=true"),
            )?)?;
            if page.get("tainted").and_then(Value::as_bool).is_none() {
                self.undecided.push("the server did not say whether the result is tainted".to_owned());
                return Ok(());
            }
            self.outside = page.get("outside").and_then(Value::as_str).map(str::to_owned);
            let end = *end.get_or_insert(
                page.pointer("/head/last_seq").and_then(Value::as_u64).context("the page names no head")?,
            );
            for event in events(&page)? {
                let seq = event.get("seq").and_then(Value::as_u64).context("an event without its number")?;
                if seq > end {
                    return Ok(());
                }
                self.hits += 1;
                match event.get("state").and_then(Value::as_str) {
                    Some("verified" | "sealed" | "erased") => {}
                    Some(state) => self.tainted.push((seq, reason(event, state))),
                    None => self.undecided.push(format!("the server said nothing about event {seq}")),
                }
            }
            match page.get("next").and_then(Value::as_u64) {
                Some(next) if next > after => after = next,
                Some(_) => anyhow::bail!("the server's pages do not go on"),
                None => return Ok(()),
            }
        }
    }

    /// Range by range: each answer covers `from` to `to`, and the ranges must follow each other up to the head.
    fn verify_completeness(&mut self, client: &Client, args: &cli::VerifySearch) -> anyhow::Result<()> {
        let path = address(client, &args.filter, "")?.replacen("/events?", "/completeness?", 1);
        let bar = output::progress(Some(0), "entries", false);
        let (mut after, mut end) = (0, None);
        loop {
            let range = client.get(&format!("{path}&after={after}"))?;
            let number = |name: &str| {
                let value = range.get(name).and_then(Value::as_u64);
                value.with_context(|| format!("the server's answer about completeness has no {name}"))
            };
            let end = *end.get_or_insert(number("size")?);
            let (from, to) = (number("from")?, number("to")?);
            anyhow::ensure!(from == after + 1 && to >= after, "the server skipped from {after} to {from}");
            self.evaluated += number("evaluated")?;
            for (name, list) in [("left_out", &mut self.left_out), ("surplus", &mut self.surplus)] {
                list.extend(range.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64));
            }
            for event in range.get("tainted").and_then(Value::as_array).into_iter().flatten() {
                let seq = event.get("seq").and_then(Value::as_u64).unwrap_or_default();
                if !self.tainted.iter().any(|(known, _)| *known == seq) {
                    self.tainted.push((seq, reason(event, "tainted")));
                }
            }
            bar.set_length(end);
            bar.set_position(to);
            if to >= end {
                bar.finish_and_clear();
                return Ok(());
            }
            anyhow::ensure!(to > after, "the server's ranges do not go on");
            after = to;
        }
    }

    fn show(&self, args: &cli::VerifySearch) -> anyhow::Result<ExitCode> {
        let bad = !self.tainted.is_empty() || !self.left_out.is_empty() || !self.surplus.is_empty();
        let verdict = match (bad, self.undecided.is_empty()) {
            (true, _) => Verdict::Tainted,
            (false, false) => Verdict::Undecided,
            (false, true) => Verdict::Verified,
        };
        if args.remote.json {
            let tainted: Vec<Value> =
                self.tainted.iter().map(|(seq, why)| json!({ "seq": seq, "reason": why })).collect();
            output::json(&json!({
                "verdict": verdict.as_str(), "hits": self.hits, "tainted": tainted, "undecided": self.undecided,
                "complete": args.complete.then_some(self.left_out.is_empty() && self.surplus.is_empty()),
                "evaluated": self.evaluated, "left_out": self.left_out, "surplus": self.surplus, "outside": self.outside,
            }))?;
            return Ok(verdict.exit_code());
        }
        println!("hits     {}, each recomputed by the server from its stored bytes up to the signed head", self.hits);
        if args.complete {
            println!("range    {} entries evaluated one by one against the query", self.evaluated);
        } else {
            println!("note     that nothing was left out is not checked; ask with --complete");
        }
        for (seq, why) in &self.tainted {
            println!("TAINTED  seq {seq}: {}", output::printable(why));
        }
        for seq in &self.left_out {
            println!(
                "TAINTED  seq {seq} matches and the index does not find it; `counterfoil rebuild` makes the index anew"
            );
        }
        for seq in &self.surplus {
            println!(
                "TAINTED  seq {seq} does not match and the index finds it; `counterfoil rebuild` makes the index anew"
            );
        }
        for what in &self.undecided {
            println!("undecided: {}", output::printable(what));
        }
        if let Some(outside) = &self.outside {
            println!("note     {}", output::printable(outside));
        }
        println!(
            "note     this is the server's own word; `counterfoil prove search` and `verify bundle` do without it"
        );
        println!("{}", verdict.as_str());
        Ok(verdict.exit_code())
    }
}

fn reason(event: &Value, otherwise: &str) -> String {
    event.get("reason").and_then(Value::as_str).unwrap_or(otherwise).to_owned()
}
