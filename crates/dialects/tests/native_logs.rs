//! Acts on an organisation's log over HTTP: what is asked for is done, shown under `/l/…`, and never a 500.

mod support;

use serde_json::{Value, json};
use service::tlog::checkpoint::SignedCheckpoint;
use service::tlog::note::VerifierKey;
use support::World;

async fn call(world: &World, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let path = path.replace("{org}", &world.names["org"]).replace("{log}", &world.names["log"]);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, reply) = world.ask(world.request(method, &path, Some(&world.names["ann"]), body)).await;
    (status, serde_json::from_str(&reply).unwrap_or_else(|_| Value::from(reply)))
}

async fn send(world: &World, events: &[Value]) -> Vec<u64> {
    let (status, reply) = call(world, "POST", "/v1/orgs/{org}/events", &json!(events)).await;
    assert_eq!(status, 200, "{reply}");
    reply["receipts"].as_array().unwrap().iter().map(|receipt| receipt["seq"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_event_is_answered_as_erased_and_its_proof_goes_on() {
    let world = World::new().await;
    let seqs = send(&world, &[json!({"action": "kept"}), json!({"action": "forgotten"})]).await;
    let index = seqs[1] - 1;
    let (_, before) = call(&world, "GET", &format!("/l/{{log}}/proof/{index}"), &Value::Null).await;
    let order = json!({"seqs": [seqs[1]], "ground": "GDPR article 17", "ordered_by": "the person concerned"});
    let (status, done) = call(&world, "POST", "/v1/orgs/{org}/erasures", &order).await;
    assert_eq!((status, &done["erased"]), (200, &json!([seqs[1]])), "{done}");
    let (status, event) =
        call(&world, "GET", &format!("/v1/orgs/{{org}}/events/{}?verify=true", seqs[1]), &Value::Null).await;
    assert_eq!((status, &event["state"], &event["event"]), (200, &json!("erased"), &Value::Null), "{event}");
    let (status, page) = call(&world, "GET", "/v1/orgs/{org}/events?verify=true", &Value::Null).await;
    assert_eq!((status, &page["tainted"]), (200, &json!(false)), "{page}");
    let (status, after) = call(&world, "GET", &format!("/l/{{log}}/proof/{index}"), &Value::Null).await;
    assert!(status == 200 && before.is_string() && after.is_string());
    let (status, _) = call(&world, "POST", "/v1/orgs/{org}/erasures", &order).await;
    assert_eq!(status, 409, "it is erased already");
    for (wrong, expected) in [
        (json!({"seqs": [99_999], "ground": "g", "ordered_by": "o"}), 404),
        (json!({"seqs": [1], "ground": "g", "ordered_by": "o"}), 400),
        (json!({"seqs": [], "ground": "g", "ordered_by": "o"}), 400),
        (json!({"seqs": [seqs[0]], "ground": " ", "ordered_by": "o"}), 400),
    ] {
        let (status, reply) = call(&world, "POST", "/v1/orgs/{org}/erasures", &wrong).await;
        assert_eq!(status, expected, "{wrong}: {reply}");
    }
    // Other dialects show that something is there, or leave it out; none fails.
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_is_published_with_its_sizes_and_signs() {
    let world = World::new().await;
    send(&world, &[json!({"action": "one"})]).await;
    let (_, keys) = call(&world, "GET", "/l/{log}/keys", &Value::Null).await;
    let old = keys["keys"][0]["vkey"].as_str().unwrap().to_owned();
    let (status, rotated) =
        call(&world, "POST", "/v1/orgs/{org}/log/rotate-key", &json!({"reason": "compromised"})).await;
    assert_eq!(status, 200, "{rotated}");
    send(&world, &[json!({"action": "two"})]).await;
    let (_, keys) = call(&world, "GET", "/l/{log}/keys", &Value::Null).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "{keys}");
    // The server may enter events of its own between the look at the size and the note.
    let believed = keys["keys"][0]["believed_size"].as_u64().unwrap();
    assert!((1..rotated["note"].as_u64().unwrap()).contains(&believed), "{keys}");
    assert_eq!(keys["keys"][1]["vkey"], rotated["vkey"]);
    let origin = old.parse::<VerifierKey>().unwrap().name().to_owned();
    let opens = |text: &Value, vkey: &str| {
        SignedCheckpoint::open(text.as_str().unwrap(), &origin, &[vkey.parse().unwrap()]).is_ok()
    };
    let new = rotated["vkey"].as_str().unwrap();
    let introducing = format!("/l/{{log}}/checkpoint/{}", rotated["tree_size"]);
    let (_, introducing) = call(&world, "GET", &introducing, &Value::Null).await;
    assert!(opens(&introducing, &old) && opens(&introducing, new));
    let (_, newest) = call(&world, "GET", "/l/{log}/checkpoint", &Value::Null).await;
    assert!(!opens(&newest, &old) && opens(&newest, new));
    let (status, _) = call(&world, "POST", "/v1/orgs/{org}/log/rotate-key", &json!({"reason": ""})).await;
    assert_eq!(status, 400);
    world.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_holding_closing_and_opening_show_in_the_state() {
    let world = World::new().await;
    let events: Vec<Value> = (0..300).map(|n| json!({"action": format!("a{n}")})).collect();
    send(&world, &events).await;
    let state = || call(&world, "GET", "/l/{log}/state", &Value::Null);
    assert_eq!(state().await.1["minimum_index"], json!(0));
    let hold = json!({"from": 10, "reason": "case 7"});
    assert_eq!(call(&world, "POST", "/v1/orgs/{org}/log/hold", &hold).await.0, 200);
    let prune = json!({"below": 280, "reason": "kept for a year"});
    assert_eq!(call(&world, "POST", "/v1/orgs/{org}/log/prune", &prune).await.0, 409, "held");
    let lift = json!({"from": null, "reason": "case 7 is closed"});
    assert_eq!(call(&world, "POST", "/v1/orgs/{org}/log/hold", &lift).await.0, 200);
    let (status, pruned) = call(&world, "POST", "/v1/orgs/{org}/log/prune", &prune).await;
    assert_eq!((status, &pruned["minimum_index"]), (200, &json!(256)), "{pruned}");
    assert_eq!(call(&world, "GET", "/v1/orgs/{org}/events/5", &Value::Null).await.0, 404);
    assert_eq!(call(&world, "GET", "/l/{log}/tile/0/000", &Value::Null).await.0, 404);
    assert_eq!(call(&world, "GET", "/l/{log}/tile/entries/000", &Value::Null).await.0, 404);
    assert_eq!(call(&world, "GET", "/l/{log}/proof/5", &Value::Null).await.0, 404);
    assert_eq!(call(&world, "GET", "/v1/orgs/{org}/events?verify=true&order=oldest", &Value::Null).await.0, 200);
    world.service.verify_all_logs().await.unwrap();
    let (_, now) = state().await;
    assert_eq!((&now["state"], &now["minimum_index"]), (&json!("open"), &json!(256)), "{now}");
    assert_eq!(now["last_verification"]["verdict"], json!("verified"), "{now}");

    let because = json!({"reason": "the tenant leaves"});
    assert_eq!(call(&world, "POST", "/v1/orgs/{org}/log/open", &because).await.0, 409, "it takes entries");
    assert_eq!(call(&world, "POST", "/v1/orgs/{org}/log/acknowledge", &because).await.0, 409, "nothing is wrong");
    assert_eq!(call(&world, "POST", "/v1/orgs/{org}/log/adopt", &json!({"checkpoint": "none"})).await.0, 409);
    let (status, last) = call(&world, "POST", "/v1/orgs/{org}/log/close", &because).await;
    assert_eq!(status, 200, "{last}");
    assert_eq!(state().await.1["state"], json!("closed"));
    let (status, refused) = call(&world, "POST", "/v1/orgs/{org}/events", &json!([{"action": "late"}])).await;
    assert!(status >= 400 && refused["detail"].as_str().unwrap_or_default().contains("closed"), "{status}: {refused}");
    let (status, new) = call(&world, "POST", "/v1/orgs/{org}/log/open", &because).await;
    assert!(status == 200 && new["origin"] != last["origin"], "{new}");
    send(&world, &[json!({"action": "again"})]).await;
    world.service.shutdown().await;
}
