//! The paged list over a trail of real size.

mod support;

use serde_json::Value;
use support::{PASSWORD, World};

async fn login(world: &World) -> String {
    let body = format!(r#"{{"Username":"ann@example.com","Password":"{PASSWORD}"}}"#);
    let (_, reply) = world.ask(world.request("POST", "/api/UserAccount/Login", None, body)).await;
    let reply: Value = serde_json::from_str(&reply).unwrap();
    reply["accessToken"].as_str().unwrap().to_owned()
}

async fn page(world: &World, token: &str, body: &str) -> Vec<Value> {
    let (status, reply) =
        world.ask(world.request("POST", "/api/UserAccount/UserEvents", Some(token), body.to_owned())).await;
    assert_eq!(status, 200, "{reply}");
    serde_json::from_str(&reply).unwrap()
}

#[tokio::test]
async fn a_page_is_cut_to_ten_thousand_rows_and_the_next_one_has_the_rest() {
    let world = World::new().await;
    // Two batches, because one request takes 10,000 events at most. Times repeat, so that ties have to be told apart.
    for (batch, count) in [(0, 6_000), (1, 4_500)] {
        let lines: String = (0..count)
            .map(|at| {
                let second = at % 60;
                format!(
                    "{{\"action\":\"view\",\"kind\":\"page\",\"actor\":\"user-{batch}-{at}\",\
                     \"source\":\"10.0.0.1\",\"occurred_at\":\"2025-06-01T00:00:{second:02}Z\"}}\n"
                )
            })
            .collect();
        let path = format!("/v1/orgs/{}/events?receipts=summary", world.names["org"]);
        let mut request = world.request("POST", &path, Some(&world.names["sam"]), lines);
        request.headers_mut().insert("content-type", "application/x-ndjson".parse().unwrap());
        let (status, reply) = world.ask(request).await;
        assert_eq!(status, 200, "{reply}");
    }
    let token = login(&world).await;
    let first = page(&world, &token, r#"{"PageNumber":"1","RowsInPage":"20000"}"#).await;
    let second = page(&world, &token, r#"{"PageNumber":"2","RowsInPage":"20000"}"#).await;
    assert_eq!(first.len(), 10_000);
    let views = |rows: &[Value]| {
        let views = rows.iter().filter(|row| row["type"] == "PAGE LOAD");
        views.map(|row| row["userName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (mut all, rest) = (views(&first), views(&second));
    assert!(rest.iter().all(|name| !all.contains(name)), "pages overlap");
    all.extend(rest);
    assert_eq!(all.len(), 10_500, "every row is on one page");

    // Newest first, ties by arrival, newest first.
    let rows: Vec<&Value> = first.iter().chain(&second).collect();
    assert!(rows.windows(2).all(|pair| pair[0]["time"].as_str() >= pair[1]["time"].as_str()));
    let tied: Vec<&String> = all.iter().take(175).collect();
    assert_eq!(tied[0], "user-1-4499");
    assert_eq!(tied[74], "user-1-59");
    assert_eq!(tied[75], "user-0-5999");
    assert_eq!(tied[174], "user-0-59");
}

#[tokio::test]
async fn a_login_is_on_the_first_page_of_the_very_next_read() {
    let world = World::new().await;
    for _ in 0..20 {
        world.clock.advance(1_000_000);
        let token = login(&world).await;
        let rows = page(&world, &token, r#"{"RowsInPage":1}"#).await;
        let now = jiff::Timestamp::from_microsecond(log::Clock::now_us(&*world.clock) as i64).unwrap();
        let time: jiff::Timestamp = rows[0]["time"].as_str().unwrap().parse().unwrap();
        assert_eq!((rows[0]["type"].as_str(), time), (Some("LOGIN SUCCESS"), now));
    }
}
