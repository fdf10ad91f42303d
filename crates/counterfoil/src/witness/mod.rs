//! A witness (C2SP tlog-witness): one list of logs, one file of remembered checkpoints, one key.
//!
//! **Promise.** What is cosigned under this key for one log is one history: a checkpoint is cosigned only after it was shown to
//! extend the last one and was itself remembered durably. Deciding, remembering and cosigning happen under one lock.
//!
//! **Limits.** One request at a time is decided; each rewrites the file of remembered checkpoints, about 500 bytes for each log.

pub mod settings;
pub mod state;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tlog::witness::{BODY_BYTES_MAX, Refusal, SIZE_MEDIA_TYPE};

use state::{Failure, Witness};

/// The routes: `POST /add-checkpoint` for logs; `GET /` and `GET /checkpoint?origin=…` for whoever watches.
pub fn router(witness: Witness) -> Router {
    Router::new()
        .route("/add-checkpoint", routing::post(add_checkpoint))
        .route("/checkpoint", routing::get(checkpoint))
        .route("/", routing::get(about))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(witness))
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    let Ok(body) = String::from_utf8(body.into()) else {
        return (StatusCode::BAD_REQUEST, "the body is not UTF-8\n").into_response();
    };
    let decided = tokio::task::spawn_blocking(move || witness.add(&body)).await;
    match decided {
        Ok(Ok(cosignature)) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], cosignature).into_response(),
        Ok(Err(Failure::Refused(refusal))) => refused(&refusal),
        Ok(Err(Failure::NotRemembered(why))) => {
            tracing::error!("not cosigned, because it could not be remembered: {why:#}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the checkpoint could not be remembered, so it is not cosigned\n")
                .into_response()
        }
        Err(panicked) => {
            tracing::error!(%panicked, "deciding about a checkpoint failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).expect("refusals are statuses of HTTP");
    match refusal.size() {
        Some(size) => (status, [(header::CONTENT_TYPE, SIZE_MEDIA_TYPE)], format!("{size}\n")).into_response(),
        None => (status, format!("{refusal}\n")).into_response(),
    }
}

#[derive(Deserialize)]
struct Which {
    origin: String,
}

/// The last checkpoint remembered of a log, with its own signatures and ours.
async fn checkpoint(State(witness): State<Arc<Witness>>, Query(which): Query<Which>) -> Response {
    match witness.remembered(&which.origin) {
        Some(note) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response(),
        None => (StatusCode::NOT_FOUND, "no checkpoint of this log is remembered here\n").into_response(),
    }
}

/// Who this is and what it remembers.
async fn about(State(witness): State<Arc<Witness>>) -> Response {
    let logs: Vec<_> =
        witness.sizes().into_iter().map(|(origin, size)| json!({ "origin": origin, "size": size })).collect();
    Json(json!({ "witness": witness.name(), "vkey": witness.vkey(), "logs": logs })).into_response()
}
