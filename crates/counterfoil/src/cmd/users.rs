//! `users`: audited users through the native API.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli;
use crate::client::{Client, escaped};
use crate::output::{self, text_at};

/// `counterfoil users`
pub fn run(command: &cli::Users) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        cli::Users::List { of, sort, limit } => list(of, sort, *limit).map(done),
        cli::Users::Show { of, user } => show(of, user).map(done),
        cli::Users::Explain { of, session } => explain(of, session).map(done),
        cli::Users::Recompute { of, user, as_of } => recompute(of, user, as_of.as_deref()),
        cli::Users::Build { of } => build(of).map(done),
    }
}

/// The text at a pointer; a dash where there is nothing.
fn or_dash(value: &Value, pointer: &str) -> String {
    match text_at(value, pointer) {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    }
}

fn list(of: &cli::OfLog, sort: &str, limit: u64) -> anyhow::Result<()> {
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    let found = client.get(&format!("/v1/orgs/{org}/users?limit={limit}&sort={}", escaped(sort)))?;
    if of.remote.json {
        return output::json(&found);
    }
    let users = found.get("users").and_then(Value::as_array).context("the server's reply holds no users")?;
    let row = |user: &Value| ["/user", "/last_seen", "/score", "/scored_at"].map(|at| or_dash(user, at)).to_vec();
    output::table(&["USER", "LAST SEEN", "SCORE", "SCORED AT"], &users.iter().map(row).collect::<Vec<_>>())?;
    let count = found.get("count").and_then(Value::as_u64).unwrap_or(0);
    if count > users.len() as u64 {
        eprintln!("{} of {count} users; more with --limit", users.len());
    }
    Ok(())
}

fn show(of: &cli::OfLog, user: &str) -> anyhow::Result<()> {
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    let found = client.get(&format!("/v1/orgs/{org}/users/{}", escaped(user)))?;
    if of.remote.json {
        return output::json(&found);
    }
    let mut rows = ["user", "last_seen", "score", "scored_at"]
        .map(|name| vec![name.replace('_', " "), or_dash(&found, &format!("/{name}"))])
        .to_vec();
    for (name, standing) in found.get("baselines").and_then(Value::as_object).into_iter().flatten() {
        for (pointer, detail, word) in
            [("/last_success", "/last_success/id", "built"), ("/last_failure", "/last_failure/reason", "not built")]
        {
            if standing.pointer(pointer).is_some_and(|there| !there.is_null()) {
                let at = text_at(standing, &format!("{pointer}/at"));
                rows.push(vec![name.clone(), format!("{word} {at}: {}", text_at(standing, detail))]);
            }
        }
    }
    output::table(&["", ""], &rows)
}

fn explain(of: &cli::OfLog, session: &str) -> anyhow::Result<()> {
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    let found = client.get(&format!("/v1/orgs/{org}/sessions/{}/score", escaped(session)))?;
    if of.remote.json {
        return output::json(&found);
    }
    let history = found.get("history").and_then(Value::as_array).map_or(0, Vec::len);
    let again = if found.get("is_same").and_then(Value::as_bool) == Some(true) { "the same" } else { "NOT the same" };
    println!(
        "session {} of {}: {}",
        text_at(&found, "/session"),
        or_dash(&found, "/user"),
        or_dash(&found, "/aggregated")
    );
    println!("compared with {history} sessions before {}; computed again: {again}", text_at(&found, "/as_of"));
    for (name, one) in found.get("scores").and_then(Value::as_object).into_iter().flatten() {
        println!(
            "\n{name} {} (weight {}, probability {})",
            text_at(one, "/score"),
            number(one, "/weight"),
            number(one, "/probability")
        );
        println!("  expected  {}", text_at(one, "/expected"));
        println!("  observed  {}", text_at(one, "/observed"));
        let like: Vec<String> = one
            .get("like")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |events| events.iter().map(ToString::to_string).collect());
        println!("  like it   {} sessions; events {}", text_at(one, "/like_count"), like.join(" "));
    }
    for (name, why) in found.get("failures").and_then(Value::as_object).into_iter().flatten() {
        println!("\n{name} -  {}", why.as_str().map(output::printable).unwrap_or_default());
    }
    for (name, test) in found.pointer("/scripted/results").and_then(Value::as_object).into_iter().flatten() {
        let verdict = if test.get("scripted").and_then(Value::as_bool) == Some(true) { "scripted" } else { "by hand" };
        println!("\nscript {name}: {verdict}: {}", text_at(test, "/detail"));
    }
    Ok(())
}

fn number(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_f64).map_or_else(String::new, |number| format!("{number:.4}"))
}

fn recompute(of: &cli::OfLog, user: &str, as_of: Option<&str>) -> anyhow::Result<ExitCode> {
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    let mut path = format!("/v1/orgs/{org}/users/{}/recomputed", escaped(user));
    if let Some(as_of) = as_of {
        // A day means its last moment.
        let is_day = as_of.len() == 10 && !as_of.contains('T');
        let at = if is_day { format!("{as_of}T23:59:59.999999Z") } else { as_of.to_owned() };
        path += &format!("?as_of={}", escaped(&at));
    }
    let found = client.get(&path)?;
    let is_same = found.get("is_same").and_then(Value::as_bool) == Some(true);
    if of.remote.json {
        output::json(&found)?;
    } else {
        println!(
            "{} had {} at {}, computed {}",
            text_at(&found, "/user"),
            or_dash(&found, "/score"),
            text_at(&found, "/as_of"),
            or_dash(&found, "/scored_at")
        );
        let sessions =
            found.get("sessions").and_then(Value::as_array).context("the server's reply holds no sessions")?;
        let row = |session: &Value| {
            let pointers = ["/session", "/seq", "/aggregated", "/recomputed", "/is_same"];
            pointers.map(|at| or_dash(session, at)).to_vec()
        };
        output::table(
            &["SESSION", "SEQ", "SERVED", "COMPUTED", "SAME"],
            &sessions.iter().map(row).collect::<Vec<_>>(),
        )?;
    }
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(of: &cli::OfLog) -> anyhow::Result<()> {
    let client = Client::new(&of.remote)?;
    let org = client.org(of.org.as_deref())?;
    let built = client.post(&format!("/v1/orgs/{org}/baselines"), &json!({}))?;
    if of.remote.json {
        return output::json(&built);
    }
    println!("baselines as of {}", text_at(&built, "/as_of"));
    Ok(())
}
