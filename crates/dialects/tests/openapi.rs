//! The OpenAPI document is a file that people review, and describes every route of the native table and no other.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_openapi_document_is_the_one_in_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = dialects::native::openapi::text();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "crates/dialects/openapi.json differs from the code; BLESS=1 rewrites it");
}

#[test]
fn every_native_route_is_described_and_nothing_else_is() {
    let document: serde_json::Value = serde_json::from_str(&dialects::native::openapi::text()).unwrap();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{method} {path} has no summary");
        }
    }
    // OpenAPI has no way to say that a part of a path contains slashes, nor two names for one part.
    let routes: BTreeSet<String> = dialects::native::ROUTES
        .iter()
        .map(|spec| {
            let name = match spec.path {
                path if path.contains("/proof/") || path.contains("/key-notes/") => "{index}",
                path if path.contains("/checkpoint/") => "{size}",
                _ => "{rest}",
            };
            format!("{} {}", spec.method, spec.path.replace("{*rest}", "{rest}").replace("{rest}", name))
        })
        .collect();
    assert_eq!(described, routes);
}
