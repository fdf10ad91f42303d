//! Logging in and out, and who one is.

use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use service::{Caller, ErrorKind, LoginError, NewToken, Role, Scope, Timestamp, TokenForm, Verb};

use super::call::{Bearer, json, reply};
use super::problem::{Problem, Result};
use super::wire::{self, LoggedIn, Me, PasswordChange};
use crate::Context;
use crate::http::body::CREDENTIALS_BYTES_MAX;

/// How long a token from a login works.
const LOGIN_TTL: Duration = Duration::from_secs(12 * 3600);

/// Logs in with name and password; the token works for twelve hours and may do what the account may.
#[utoipa::path(post, path = "/v1/login", tag = "session", request_body = wire::Login, security(()), responses(
    (status = 200, body = LoggedIn),
    (status = 401, description = "unknown name or wrong password", body = super::problem::Document),
    (status = 429, description = "locked for a while after too many failures", body = super::problem::Document),
))]
pub async fn login(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response> {
    let login: wire::Login = match json(&context, request, CREDENTIALS_BYTES_MAX).await {
        Ok(login) => login,
        Err(problem) => {
            // A try of which no name could be read is still one, and in the trail before the reply.
            context.service.login_unread(None, &caller).await?;
            return Err(problem);
        }
    };
    let who = context.service.login(None, &login.login, &login.password, &caller).await;
    let who = who.map_err(|why| refused(why, context.service.now()))?;
    let new = NewToken {
        account: who.account,
        scopes: usable_scopes(&who.roles),
        org: None,
        name: "login".to_owned(),
        ttl: Some(LOGIN_TTL),
        form: TokenForm::Native,
    };
    let (token, secret) = context.service.issue_token(&who, new).await?;
    let account = context.service.profile(&who)?.into();
    Ok(reply(StatusCode::OK, &LoggedIn { token: secret, expires_at: token.expires_at.map(wire::time), account }))
}

fn refused(error: LoginError, now: Timestamp) -> Problem {
    match error {
        LoginError::UnknownUser | LoginError::WrongPassword => {
            Problem::new(ErrorKind::Unauthenticated, "unknown login name or wrong password")
        }
        LoginError::Locked { until } => Problem::locked(until, now),
        LoginError::Disabled => Problem::new(ErrorKind::Forbidden, "this account is switched off"),
        LoginError::Failed(error) => error.into(),
    }
}

/// Every scope that at least one of these roles can make use of; never `refresh`.
pub fn usable_scopes(roles: &[Role]) -> Vec<Scope> {
    let usable = |scope: &Scope| {
        Verb::ALL.into_iter().map(Verb::rule).any(|rule| {
            rule.scope == Some(*scope) && *scope != Scope::Refresh && rule.roles.iter().any(|role| roles.contains(role))
        })
    };
    Scope::ALL.into_iter().filter(usable).collect()
}

/// Ends the token that is used for this request.
#[utoipa::path(post, path = "/v1/logout", tag = "session", responses((status = 204, description = "the token is dead")))]
pub async fn logout(State(context): State<Context>, bearer: Bearer) -> Result<Response> {
    let who = bearer.0;
    if let Some(token) = who.token {
        context.service.revoke_token(&who, token).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Who calls, and what the token may do.
#[utoipa::path(get, path = "/v1/me", tag = "session", responses((status = 200, body = Me)))]
pub async fn me(State(context): State<Context>, bearer: Bearer) -> Result<Response> {
    let who = bearer.0;
    let me = Me {
        account: context.service.profile(&who)?.into(),
        organisation: context.service.get_org(&who, who.org)?.into(),
        scopes: who.scopes,
        token: who.token,
    };
    Ok(reply(StatusCode::OK, &me))
}

/// Changes one's own password; tokens that came from logging in die.
#[utoipa::path(post, path = "/v1/me/password", tag = "session", request_body = PasswordChange,
    responses((status = 204, description = "changed"), (status = 403, description = "the old password is wrong", body = super::problem::Document)))]
pub async fn change_password(State(context): State<Context>, bearer: Bearer, request: Request) -> Result<Response> {
    bearer.must(&context, Verb::OwnProfile)?;
    let change: PasswordChange = json(&context, request, CREDENTIALS_BYTES_MAX).await?;
    context.service.change_password(&bearer.0, &change.old, &change.new).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_token_may_do_what_the_roles_may_and_is_no_refresh_token() {
        assert_eq!(usable_scopes(&[Role::Sender]), [Scope::Ingest]);
        assert_eq!(usable_scopes(&[Role::Extractor]), [Scope::Extract]);
        assert_eq!(usable_scopes(&[Role::Auditor]), [Scope::Read, Scope::Extract, Scope::Proofs]);
        let admin = usable_scopes(&[Role::Admin]);
        assert!(!admin.contains(&Scope::Refresh) && admin.len() == Scope::ALL.len() - 1);
    }
}
