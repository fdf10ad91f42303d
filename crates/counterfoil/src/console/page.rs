//! Pages that the program writes itself: signing in, and what is there without the console. No script.

use std::fmt::Write as _;

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};

/// What the sign-in page says above the form.
#[derive(Debug, Default)]
pub struct SignIn<'a> {
    /// Where to go afterwards.
    pub to: &'a str,
    /// The name that was typed.
    pub login: &'a str,
    /// Why the last try failed.
    pub error: Option<&'a str>,
    /// Something that went well.
    pub notice: Option<&'a str>,
}

/// The sign-in page.
pub fn sign_in(shown: &SignIn<'_>) -> Html<String> {
    let mut main = String::from("<h1>Sign in</h1>\n");
    if let Some(error) = shown.error {
        writeln!(main, "<p class=\"error\" role=\"alert\" id=\"error\">{}</p>", escaped(error)).expect(MEMORY);
    }
    if let Some(notice) = shown.notice {
        writeln!(main, "<p class=\"notice\" role=\"status\">{}</p>", escaped(notice)).expect(MEMORY);
    }
    let described = if shown.error.is_some() { " aria-describedby=\"error\"" } else { "" };
    write!(
        main,
        r#"<form method="post" action="/sign-in">
<input type="hidden" name="to" value="{to}">
<label for="login">Login name</label>
<input id="login" name="login" type="text" value="{login}" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus{described}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button>
</form>
<p class="small">Every try, right or wrong, is an event of the trail.</p>
"#,
        to = escaped(shown.to),
        login = escaped(shown.login),
    )
    .expect(MEMORY);
    page("Sign in", &main)
}

/// What stands where the console would be.
pub fn not_built() -> impl IntoResponse {
    let main = r#"<h1>The console is not in this program</h1>
<p>The server works; its console was not built into it. With Node 20.19 or newer, in the source folder:</p>
<pre>make console
make build</pre>
<p>then start the server again. Until then there is the command line (<code>counterfoil --help</code>) and the native API,
which describes itself at <a href="/v1/openapi.json">/v1/openapi.json</a>.</p>
"#;
    (StatusCode::OK, page("Console not built", main))
}

/// Nothing has this address.
pub fn not_found(path: &str) -> impl IntoResponse {
    let path: String = path.chars().take(200).collect();
    let main = format!(
        "<h1>Nothing is here</h1>\n<p>No page has the address <code>{}</code>. <a href=\"/\">To the overview</a></p>\n",
        escaped(&path)
    );
    (StatusCode::NOT_FOUND, page("Not found", &main))
}

/// The style of these pages.
pub async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("page.css"))
}

fn page(title: &str, main: &str) -> Html<String> {
    Html(format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Counterfoil</title>
<link rel="stylesheet" href="/sign-in.css">
</head>
<body>
<header><span class="mark" aria-hidden="true"></span>Counterfoil</header>
<main>
{main}</main>
</body>
</html>
"#
    ))
}

const MEMORY: &str = "writing into a String cannot fail";

/// Text as it may stand in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_comes_back_as_text() {
        let typed = "\"><script>alert(1)</script>";
        let Html(html) = sign_in(&SignIn { to: typed, login: typed, error: Some(typed), notice: None });
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&quot;&gt;&lt;script&gt;").count(), 3);
    }
}
