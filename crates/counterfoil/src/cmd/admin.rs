//! `login`, `org`, `user`, `token`: administration through the native API.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::cli;
use crate::client::{Client, escaped};
use crate::output::{json as print_json, table, text_at};

/// The first line of standard input, without its line end.
pub fn password_from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("reading the password from standard input")?;
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    if password.is_empty() {
        bail!("standard input held no password: give it on the first line");
    }
    Ok(password)
}

/// Logs in and prints the token, ready for `export COUNTERFOIL_TOKEN=$(…)`.
pub fn login(args: &cli::Login) -> anyhow::Result<()> {
    let password = if args.password_stdin {
        password_from_stdin()?
    } else if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {}: ", args.name)).context("asking for the password")?
    } else {
        bail!("no terminal to ask for the password on: pipe it in and give --password-stdin");
    };
    let client = Client::new(&args.remote)?;
    let reply = client.post_open("/v1/login", &json!({ "login": args.name, "password": password }))?;
    if args.remote.json {
        return print_json(&reply);
    }
    match reply.get("token").and_then(Value::as_str) {
        Some(token) => println!("{token}"),
        None => bail!("the server's reply holds no token"),
    }
    Ok(())
}

/// `counterfoil org …`
pub fn org(command: &cli::Org) -> anyhow::Result<()> {
    match command {
        cli::Org::List { remote } => {
            let client = Client::new(remote)?;
            let items = all_pages(&client, "/v1/orgs", "organisations")?;
            if remote.json {
                return print_json(&Value::Array(items));
            }
            let rows: Vec<_> = items.iter().map(|o| vec![text_at(o, "/id"), text_at(o, "/path")]).collect();
            table(&["ID", "PATH"], &rows)
        }
        cli::Org::Create { remote, name, parent, slug } => {
            let client = Client::new(remote)?;
            let mut body = Map::new();
            body.insert("name".to_owned(), json!(name));
            if let Some(parent) = parent {
                body.insert("parent".to_owned(), json!(parent));
            }
            if let Some(slug) = slug {
                body.insert("slug".to_owned(), json!(slug));
            }
            show(remote, &client.post("/v1/orgs", &Value::Object(body))?)
        }
        cli::Org::Show { remote, org } => {
            let client = Client::new(remote)?;
            let org = client.org(Some(org))?;
            let mut reply = client.get(&format!("/v1/orgs/{org}"))?;
            reply["log"] = client.get(&format!("/v1/orgs/{org}/log"))?;
            show(remote, &reply)
        }
        cli::Org::Rename { remote, org, name, slug } => {
            let client = Client::new(remote)?;
            let org = client.org(Some(org))?;
            let mut body = Map::new();
            for (member, value) in [("name", name), ("slug", slug)] {
                if let Some(value) = value {
                    body.insert(member.to_owned(), json!(value));
                }
            }
            show(remote, &client.patch(&format!("/v1/orgs/{org}"), &Value::Object(body))?)
        }
    }
}

/// `counterfoil user …`
pub fn user(command: &cli::User) -> anyhow::Result<()> {
    match command {
        cli::User::List { remote, org } => {
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            let items = all_pages(&client, &format!("/v1/orgs/{org}/accounts"), "accounts")?;
            if remote.json {
                return print_json(&Value::Array(items));
            }
            let rows: Vec<_> = items
                .iter()
                .map(|a| {
                    let state = if a.get("disabled").and_then(Value::as_bool) == Some(true) { "disabled" } else { "" };
                    vec![text_at(a, "/id"), text_at(a, "/login"), words(a.get("roles")), state.to_owned()]
                })
                .collect();
            table(&["ID", "LOGIN", "ROLES", "STATE"], &rows)
        }
        cli::User::Add { remote, login, org, display_name, roles, password_stdin } => {
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            let mut body = Map::new();
            body.insert("login".to_owned(), json!(login));
            body.insert("roles".to_owned(), names(roles));
            if let Some(name) = display_name {
                body.insert("display_name".to_owned(), json!(name));
            }
            if *password_stdin {
                body.insert("password".to_owned(), json!(password_from_stdin()?));
            }
            show(remote, &client.post(&format!("/v1/orgs/{org}/accounts"), &Value::Object(body))?)
        }
        cli::User::Set { remote, account, org, display_name, roles, disable, enable, password_stdin } => {
            let client = Client::new(remote)?;
            let id = account_id(&client, account, org.as_deref())?;
            let mut body = Map::new();
            if let Some(name) = display_name {
                body.insert("display_name".to_owned(), json!(name));
            }
            if !roles.is_empty() {
                body.insert("roles".to_owned(), names(roles));
            }
            if *disable || *enable {
                body.insert("disabled".to_owned(), json!(*disable));
            }
            if *password_stdin {
                body.insert("password".to_owned(), json!(password_from_stdin()?));
            }
            if body.is_empty() {
                bail!("nothing to change: give --role, --display-name, --disable, --enable or --password-stdin");
            }
            show(remote, &client.patch(&format!("/v1/accounts/{}", escaped(&id)), &Value::Object(body))?)
        }
    }
}

/// `counterfoil token …`
pub fn token(command: &cli::Token) -> anyhow::Result<()> {
    match command {
        cli::Token::List { remote, org } => {
            let client = Client::new(remote)?;
            let org = client.org(org.as_deref())?;
            let items = all_pages(&client, &format!("/v1/orgs/{org}/tokens"), "tokens")?;
            if remote.json {
                return print_json(&Value::Array(items));
            }
            let rows: Vec<_> = items
                .iter()
                .map(|t| {
                    vec![
                        text_at(t, "/id"),
                        text_at(t, "/account"),
                        words(t.get("scopes")),
                        text_at(t, "/expires_at"),
                        text_at(t, "/name"),
                    ]
                })
                .collect();
            table(&["ID", "ACCOUNT", "SCOPES", "EXPIRES", "NAME"], &rows)
        }
        cli::Token::Create { remote, org, account, name, scopes, days, form } => {
            let client = Client::new(remote)?;
            let segment = client.org(org.as_deref())?;
            let mut body = Map::new();
            if let Some(account) = account {
                body.insert("account".to_owned(), json!(account_id(&client, account, org.as_deref())?));
            }
            if let Some(name) = name {
                body.insert("name".to_owned(), json!(name));
            }
            if !scopes.is_empty() {
                body.insert("scopes".to_owned(), names(scopes));
            }
            if let Some(days) = days {
                body.insert("ttl_seconds".to_owned(), json!(u64::from(*days) * 86_400));
            }
            body.insert("form".to_owned(), names(&[*form])[0].clone());
            let reply = client.post(&format!("/v1/orgs/{segment}/tokens"), &Value::Object(body))?;
            if remote.json {
                return print_json(&reply);
            }
            eprintln!("token {} made; its secret is shown only now:", text_at(&reply, "/id"));
            println!("{}", text_at(&reply, "/secret"));
            Ok(())
        }
        cli::Token::Revoke { remote, id } => {
            let client = Client::new(remote)?;
            client.delete(&format!("/v1/tokens/{}", escaped(id)))?;
            if remote.json {
                return print_json(&json!({ "revoked": id }));
            }
            println!("revoked {id}");
            Ok(())
        }
    }
}

/// Reads a paged list to its end: `{"<member>":[…],"next":cursor|null}`.
fn all_pages(client: &Client, path: &str, member: &str) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut page = client.get(path)?;
    loop {
        match page.get_mut(member).map(Value::take) {
            Some(Value::Array(more)) => items.extend(more),
            _ => bail!("the server's reply holds no list `{member}`"),
        }
        let next = match page.get("next") {
            None | Some(Value::Null) => return Ok(items),
            Some(Value::String(cursor)) => cursor.clone(),
            Some(other) => other.to_string(),
        };
        page = client.get(&format!("{path}?after={}", escaped(&next)))?;
    }
}

fn account_id(client: &Client, account: &str, org: Option<&str>) -> anyhow::Result<String> {
    if account.starts_with("acc_") {
        return Ok(account.to_owned());
    }
    let segment = client.org(org)?;
    let items = all_pages(client, &format!("/v1/orgs/{segment}/accounts"), "accounts")?;
    let wanted = account.trim().to_lowercase();
    let found = items.iter().find(|a| a.get("login").and_then(Value::as_str) == Some(wanted.as_str()));
    match found.and_then(|a| a.get("id")).and_then(Value::as_str) {
        Some(id) => Ok(id.to_owned()),
        None => {
            bail!("no account {account} in that organisation; name its organisation with --org, or give its id (acc_…)")
        }
    }
}

fn names<T: ValueEnum>(values: &[T]) -> Value {
    values.iter().filter_map(|v| v.to_possible_value()).map(|v| v.get_name().to_owned()).collect()
}

fn words(list: Option<&Value>) -> String {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

/// One object: JSON on request, `member: value` lines otherwise.
fn show(remote: &cli::Remote, value: &Value) -> anyhow::Result<()> {
    if remote.json {
        return print_json(value);
    }
    let mut rows = Vec::new();
    flatten("", value, &mut rows);
    for (name, text) in rows {
        println!("{name}: {text}");
    }
    Ok(())
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match member {
            Value::Object(_) => flatten(&name, member, rows),
            Value::Array(items) if items.iter().all(Value::is_string) => rows.push((name, words(Some(member)))),
            Value::Null => {}
            other => rows.push((name, text_at(other, ""))),
        }
    }
}
