//! Init, open, lock, restart.

mod support;

use std::fs;

use service::{ErrorKind, Service};
use support::*;

fn kind<T>(result: service::Result<T>) -> ErrorKind {
    result.err().expect("this must be refused").kind
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_folder_opens_and_its_administrator_logs_in() {
    let world = World::new();
    let admin = world.admin().await;
    assert_eq!((admin.account, admin.org), (world.made.admin, world.made.org));
    assert!(admin.is_admin());
    assert_eq!(world.service.default_org(), world.made.org);
    let org = world.service.get_org(&admin, world.org()).unwrap();
    assert_eq!((org.name.as_str(), org.slug.as_str(), org.path.as_str()), ("Acme", "acme", "Acme"));
    assert_eq!(org.origin, world.made.origin);
    assert!(org.origin.starts_with("audit.example.com/l/"), "{}", org.origin);
    assert_eq!(
        world.service.vkey(&admin, world.service.get_org(&admin, world.org()).unwrap().log).unwrap(),
        world.made.vkey
    );
    assert!(world.service.status().is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn init_refuses_a_folder_that_is_not_empty_and_says_why() {
    let world = World::new();
    let (folder, clock) = (&world.folder, &world.clock);
    let again = Service::init(&config(folder, clock, 1), init()).unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    assert!(again.message.contains("data folder already"), "{again}");

    let other = tempfile::tempdir().unwrap();
    fs::create_dir(other.path().join("data")).unwrap();
    fs::write(other.path().join("data/holiday.jpg"), "x").unwrap();
    let foreign = Service::init(&config(&other, clock, 1), init()).unwrap_err();
    assert!(foreign.message.contains("not empty"), "{foreign}");

    fs::remove_file(other.path().join("data/holiday.jpg")).unwrap();
    fs::write(other.path().join("data/init.unfinished"), "x").unwrap();
    for half in [Service::init(&config(&other, clock, 1), init()).err(), Service::open(config(&other, clock, 1)).err()]
    {
        let half = half.expect("a half made folder is refused");
        assert_eq!(half.kind, ErrorKind::Conflict);
        assert!(half.message.contains("half made"), "{half}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_nothing_when_it_refuses_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(log::ManualClock::new(START_US));
    for wrong in [
        service::Init { org: " ".into(), ..init() },
        service::Init { admin: "".into(), ..init() },
        service::Init { password: "short".into(), ..init() },
        service::Init { audit_host: "Audit Host".into(), ..init() },
    ] {
        assert_eq!(kind(Service::init(&config(&folder, &clock, 1), wrong)), ErrorKind::Invalid);
    }
    assert!(!folder.path().join("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_folder_is_open_once() {
    let world = World::new();
    assert_eq!(kind(Service::open(config(&world.folder, &world.clock, 9))), ErrorKind::Conflict);
    let world = world.reopen(|_| {}).await;
    world.admin().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_data_folder_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(log::ManualClock::new(START_US));
    assert_eq!(kind(Service::open(config(&folder, &clock, 1))), ErrorKind::NotFound);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_may_read_the_seed() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let mode =
        |name: &str| fs::metadata(world.folder.path().join("data").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("keys"), mode("keys/instance.seed")), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_gives_the_same_state_with_and_without_the_projections() {
    let world = World::new();
    let admin = world.admin().await;
    let emea = world.service.create_org(&admin, world.org(), "EMEA").await.unwrap();
    let (sender, secret, principal) = world.account(emea.id, "sender@example.com", &[service::Role::Sender]).await;
    world.send(&principal, emea.id, &[r#"{"action":"a"}"#, r#"{"action":"b","actor":"zoë"}"#]).await;
    world.disable(&sender, true).await;
    world.disable(&sender, false).await;

    let look = async |world: &World| {
        let admin = world.admin().await;
        let everything = (
            world.service.list_orgs(&admin).unwrap(),
            world.service.list_accounts(&admin, None).unwrap(),
            world.service.list_tokens(&admin, None).unwrap(),
            numbers(&world.all(&admin, emea.id, "actor:zoë")),
        );
        let refused =
            matches!(world.service.authenticate(&secret, &caller(2)), Err(service::AuthenticateError::Revoked));
        (everything, refused)
    };
    let before = look(&world).await;
    assert!(before.1, "switching the account off revoked its token");
    let world = world.reopen(|_| {}).await;
    assert_eq!(look(&world).await, before);
    let world = world
        .reopen(|data| {
            assert!(data.join("state/control.snapshot").exists());
            fs::remove_dir_all(data.join("state")).unwrap();
            fs::remove_dir_all(data.join("index")).unwrap();
        })
        .await;
    assert_eq!(look(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_touched_is_not_believed() {
    let world = World::new();
    let admin = world.admin().await;
    let before = world.service.list_accounts(&admin, None).unwrap();
    let world = world
        .reopen(|data| {
            let path = data.join("state/control.snapshot");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(ADMIN));
            fs::write(&path, text.replace(ADMIN, "mallory@example.c")).unwrap();
        })
        .await;
    assert_eq!(world.service.list_accounts(&world.admin().await, None).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_derived_for_a_purpose_is_the_same_after_a_restart() {
    let world = World::new();
    let (a, b) = (world.service.derive_secret("a"), world.service.derive_secret("b"));
    assert_ne!(a, b);
    let world = world.reopen(|_| {}).await;
    assert_eq!(world.service.derive_secret("a"), a);
}
