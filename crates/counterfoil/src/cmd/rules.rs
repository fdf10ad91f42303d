//! `rules`: detection rules through the native API.

use anyhow::Context as _;
use serde_json::Value;

use crate::cli;
use crate::client::Client;
use crate::output::{self, text_at};

/// `counterfoil rules`
pub fn run(command: &cli::Rules) -> anyhow::Result<()> {
    let cli::Rules::List { of } = command;
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    let found = client.get(&format!("/v1/orgs/{org}/rules"))?;
    if of.remote.json {
        return output::json(&found);
    }
    let rules = found.get("rules").and_then(Value::as_array).context("the server's reply holds no rules")?;
    if rules.is_empty() {
        eprintln!("detection is off; see [detection] enabled in the configuration");
        return Ok(());
    }
    let or_dash = |rule: &Value, pointer: &str| match text_at(rule, pointer) {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    };
    let row = |rule: &Value| {
        let never = rule.get("never_seen").and_then(Value::as_array).map_or_else(String::new, |names| {
            names.iter().filter_map(Value::as_str).map(output::printable).collect::<Vec<_>>().join(" ")
        });
        let state = if text_at(rule, "/runnable") == "true" { "runs".to_owned() } else { "refused".to_owned() };
        let note = match text_at(rule, "/problem") {
            problem if !problem.is_empty() => problem,
            _ if !never.is_empty() => format!("never seen: {never}"),
            _ => String::new(),
        };
        let mut cells = vec![state];
        cells.extend(["/level", "/hits", "/last_hit/at", "/last_evaluated", "/title"].map(|at| or_dash(rule, at)));
        cells.push(note);
        cells
    };
    let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
    output::table(&["STATE", "LEVEL", "HITS", "LAST HIT", "LAST EVALUATED", "RULE", "NOTE"], &rows)
}
