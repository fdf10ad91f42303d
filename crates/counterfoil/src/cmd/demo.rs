//! `demo`: a throw-away trail with a generated history, served, with commands to paste.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use service::recordings::{Endpoint, Finish, NewSession, SessionInfo, SessionUser};
use service::{
    Caller, Config, IngestOptions, Init, ItemResult, NewAccount, NewEvent, NewToken, OrgId, Principal, Role, Scope,
};
use service::{Service, TokenForm};

use super::init::generate_password;
use crate::cli;
use crate::config::{Anywhere, Settings, Sources};
use crate::history::{History, terminal};
use crate::output;

const ADMIN: &str = "admin@northwind.example";
const BATCH: usize = 1_000;

/// What the commands to paste need.
struct Made {
    org: OrgId,
    password: String,
    token: String,
    sender: String,
    vkey: String,
    log: String,
}

/// `counterfoil demo`
pub fn run(args: &cli::Demo, anywhere: Anywhere<'_>, sources: Sources<'_>) -> anyhow::Result<()> {
    let temporary;
    let data = match &args.data {
        Some(data) => data.clone(),
        None => {
            temporary = Temporary::new()?;
            temporary.0.join("data")
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let password = generate_password()?;
        let init = Init {
            org: "Northwind".to_owned(),
            admin: ADMIN.to_owned(),
            password: password.clone(),
            audit_host: "demo.counterfoil.invalid".to_owned(),
        };
        let first = Service::init(&Config::new(&data), init)?;
        let settings = settings(&data, args.listen, anywhere, sources)?;
        let service = Service::open(super::serve::service_config(&settings)?)?;
        let done = async {
            let made = make(&service, first.org, first.vkey, password, args).await?;
            if args.once {
                print_commands(&data, "http://127.0.0.1:8080", &made);
                return Ok(());
            }
            super::serve::serve(&settings, service.clone(), |urls| {
                print_commands(&data, &urls[0], &made);
                Ok(())
            })
            .await
        }
        .await;
        service.shutdown().await;
        done
    })
}

/// The settings of `serve` with the demo's folder and address. A configuration file is not read.
fn settings(data: &Path, listen: SocketAddr, anywhere: Anywhere<'_>, sources: Sources<'_>) -> anyhow::Result<Settings> {
    let serve = cli::Serve {
        data: Some(data.to_owned()),
        listen: Some(listen),
        tls_listen: None,
        tls_cert: None,
        tls_key: None,
        tls_self_signed: false,
        tls_name: Vec::new(),
    };
    Settings::resolve(&serve, Anywhere { config: None, ..anywhere }, sources)
}

/// Fills the trail: a branch, a sender's account, tokens, and the history.
async fn make(service: &Service, org: OrgId, vkey: String, password: String, args: &cli::Demo) -> anyhow::Result<Made> {
    let admin = match service.login(Some(org), ADMIN, &password, &Caller::internal()).await {
        Ok(admin) => admin,
        Err(error) => bail!("logging in to the new trail: {error:?}"),
    };
    service.create_org(&admin, org, "EU").await?;
    service.create_org(&admin, org, "US").await?;
    let sender = NewAccount {
        name: "app@northwind.example".to_owned(),
        display_name: "The application".to_owned(),
        roles: vec![Role::Sender],
        password: None,
    };
    let sender = service.create_account(&admin, org, sender).await?;
    let token = |account, scopes, name: &str| NewToken {
        account,
        scopes,
        org: None,
        name: name.to_owned(),
        ttl: None,
        form: TokenForm::Native,
    };
    let (_, sender_token) =
        service.issue_token(&admin, token(sender.id, vec![Scope::Ingest], "demo application")).await?;
    let scopes = vec![Scope::Ingest, Scope::Read, Scope::Extract, Scope::Proofs, Scope::Admin];
    let (_, admin_token) = service.issue_token(&admin, token(admin.account, scopes, "demo command line")).await?;

    let started = Instant::now();
    fill(service, &admin, org, args).await?;
    record(service, &admin, org, args.seed).await?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{} events made, hashed, signed and on disk in {seconds:.1} s", args.events);
    let log = service.get_org(&admin, org)?.log.to_string();
    Ok(Made { org, password, token: admin_token, sender: sender_token, vkey, log })
}

async fn fill(service: &Service, admin: &Principal, org: OrgId, args: &cli::Demo) -> anyhow::Result<()> {
    let bar = output::progress(Some(args.events), "events", false);
    let mut history = History::new(args.seed, args.events, Timestamp::now());
    let mut left = args.events;
    while left > 0 {
        let count = left.min(BATCH as u64);
        let mut items = Vec::with_capacity(BATCH);
        for _ in 0..count {
            let json = history.next().context("the history ended early")?;
            items.push(NewEvent::from_json(json.as_bytes()));
        }
        for result in service.ingest(admin, org, items, IngestOptions::default()).await? {
            let result: ItemResult = result;
            if let Err(error) = result {
                bail!("a generated event was refused: {error:?}");
            }
        }
        left -= count;
        bar.inc(count);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Terminal sessions of the same people: what they always do, a build of their baselines, and what is compared with it.
async fn record(service: &Service, admin: &Principal, org: OrgId, seed: u64) -> anyhow::Result<()> {
    let now = Timestamp::now();
    record_all(service, admin, org, terminal::habits(seed, now)).await?;
    service.build_baselines(admin, org).await?;
    record_all(service, admin, org, terminal::sessions(seed, now)).await
}

async fn record_all(
    service: &Service,
    admin: &Principal,
    org: OrgId,
    sessions: Vec<terminal::Recorded>,
) -> anyhow::Result<()> {
    for made in sessions {
        let endpoint = |name: &str| match name.parse::<std::net::IpAddr>() {
            Ok(address) => Endpoint { address: Some(address.to_string()), ..Endpoint::default() },
            Err(_) => Endpoint { name: Some(name.to_owned()), ..Endpoint::default() },
        };
        let info = SessionInfo {
            user: SessionUser { name: Some(made.user.to_owned()), ..SessionUser::default() },
            client: endpoint(made.client),
            server: endpoint(made.server),
            protocol: Some("ssh".to_owned()),
            started_at: Some(made.started_at.to_string()),
            title: Some(made.title.to_owned()),
            ..SessionInfo::default()
        };
        let (session, _) = service.start_session(admin, org, NewSession { client_id: Some(made.id), info }).await?;
        service.append_chunk(admin, org, session.id, 0, made.bytes.into()).await?;
        let finish = Finish { ended_at: Some(made.ended_at), exit: Some(0), ..Finish::default() };
        service.finish_session(admin, org, session.id, finish).await?;
    }
    Ok(())
}

fn print_commands(data: &Path, url: &str, made: &Made) {
    let Made { org, password, token, sender, vkey, log } = made;
    let program = std::env::current_exe().map_or_else(|_| "counterfoil".to_owned(), |path| path.display().to_string());
    let data = data.display();
    println!(
        r#"
A trail of thirty days at Northwind is served on {url}

Open {url}/ in a browser and sign in:

  login     {ADMIN}
  password  {password}
  token     {token}
  sender    {sender}   (may only send)

Paste these into another terminal:

  export COUNTERFOIL_SERVER={url}
  export COUNTERFOIL_TOKEN={token}
  alias counterfoil={program}

1. Send an event, keep the receipt:
  curl -s {url}/v1/orgs/{org}/events -H "Authorization: Bearer {sender}" -d '{{"action":"doc.read","actor":"ann"}}'

2. Read the trail as an Octopai client does:
  TOKEN=$(curl -s {url}/api/UserAccount/Login -H 'Content-Type: application/json' \
    -d '{{"Username":"{ADMIN}","Password":"{password}"}}' | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')
  curl -s {url}/api/UserAccount/UserEvents -H "Authorization: Bearer $TOKEN" \
    -H 'Content-Type: application/json' -d '{{"PageNumber":"1","RowsInPage":"5"}}'

3. Ask questions:
  counterfoil query 'outcome:failure source:198.51.100.23' -n 5
  counterfoil query 'kind:file "customers.csv"' -n 5 --verify
  counterfoil tail --after 0 -n 3

4. Prove that nothing was changed, without trusting the server:
  counterfoil verify log {url}/l/{log} --vkey '{vkey}'
  counterfoil verify log {data}

Stop with Ctrl-C."#
    );
}

/// A folder that goes when the demo ends.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new() -> anyhow::Result<Temporary> {
        let name = format!("counterfoil-demo-{}", generate_password()?);
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("counterfoil: {} could not be removed: {error}", self.0.display());
        }
    }
}
