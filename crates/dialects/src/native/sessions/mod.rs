//! Recorded sessions: start, append, finish; list, look at, read; search what was on their screens, show it.
//!
//! A recorder starts a session, sends its bytes in chunks as they come (or all of them in one streaming request), and
//! finishes it. Everything may be sent again: what is there is answered as before.

pub mod content;
mod content_schema;
pub mod life;
pub mod playback;
pub mod read;
pub mod schema;
pub mod screens;
pub mod upload;

use axum::extract::FromRequestParts;
use axum::extract::RawPathParams;
use http::request::Parts;
use service::{ErrorKind, SessionId};

use super::call::InOrg;
use super::problem::{Problem, Result, shown};
use crate::Context;

/// A caller, the organisation and the session that the path names.
pub struct InSession {
    /// Caller and organisation.
    pub call: InOrg,
    /// The session; whether it is there is for the service to say.
    pub session: SessionId,
}

impl FromRequestParts<Context> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<InSession> {
        let call = InOrg::from_request_parts(parts, context).await?;
        let parameters = RawPathParams::from_request_parts(parts, &()).await;
        let parameters =
            parameters.map_err(|_| Problem::invalid("the path is not UTF-8 after decoding its escapes"))?;
        let text = parameters.iter().find(|(name, _)| *name == "session").map(|(_, value)| value.to_owned());
        let text = text.expect("the route has this part, or it does not ask for it");
        let session = text
            .parse()
            .map_err(|_| Problem::new(ErrorKind::NotFound, format!("no session {:?} within reach", shown(&text))))?;
        Ok(InSession { call, session })
    }
}
