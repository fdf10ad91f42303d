//! A tree as a query that stands for it.

use std::fmt::Write as _;
use std::ops::Bound;

use service::search::content::{Clause, ContentQuery, Occur};

use super::escape::{escape, quote};

/// The query that [`parse`](super::parse) makes this tree of, whatever the default field: every part names its own.
///
/// For trees that it made itself. A tree made otherwise may hold what no query says (a token that analysis would cut), and
/// comes back as something else.
pub fn print(query: &ContentQuery) -> String {
    let mut out = String::new();
    match query {
        ContentQuery::Clauses(clauses) => print_clauses(&mut out, clauses),
        _ => print_clause(&mut out, query),
    }
    out
}

fn print_clauses(out: &mut String, clauses: &[Clause]) {
    if clauses.is_empty() {
        // Analyses to nothing, and is no error.
        out.push_str("\"\"");
    }
    for (place, clause) in clauses.iter().enumerate() {
        if place > 0 {
            out.push(' ');
        }
        match clause.occur {
            Occur::Required => out.push('+'),
            Occur::Prohibited => out.push('-'),
            Occur::Optional => {}
        }
        print_clause(out, &clause.query);
    }
}

fn print_clause(out: &mut String, query: &ContentQuery) {
    let infallible = "writing to a string cannot fail";
    match query {
        ContentQuery::Clauses(clauses) => {
            out.push('(');
            print_clauses(out, clauses);
            out.push(')');
        }
        ContentQuery::Boost(inner, boost) => {
            // Only one boost follows a word, and a list has its own brackets.
            let bracketed = matches!(**inner, ContentQuery::Boost(..));
            out.push_str(if bracketed { "(" } else { "" });
            print_clause(out, inner);
            out.push_str(if bracketed { ")" } else { "" });
            write!(out, "^{boost}").expect(infallible);
        }
        ContentQuery::All => out.push_str("*:*"),
        ContentQuery::Term { field, term } => {
            print_field(out, field);
            out.push_str(&quote(term));
        }
        ContentQuery::Phrase { field, terms, slop } => {
            print_field(out, field);
            out.push_str(&quote(&terms.join(" ")));
            if *slop > 0 {
                write!(out, "~{slop}").expect(infallible);
            }
        }
        ContentQuery::Prefix { field, prefix } => {
            print_field(out, field);
            out.push_str(&escape(prefix));
            out.push('*');
        }
        ContentQuery::Wildcard { field, pattern } => {
            print_field(out, field);
            out.push_str(&without_units(pattern.text()));
        }
        ContentQuery::Regex { field, pattern } => {
            print_field(out, field);
            write!(out, "/{}/", without_units(pattern.text())).expect(infallible);
        }
        ContentQuery::Fuzzy { field, term, distance } => {
            print_field(out, field);
            write!(out, "{}~{distance}", escape(term)).expect(infallible);
        }
        ContentQuery::Range { field, lower, upper } => {
            print_field(out, field);
            let (open, lower) = match lower {
                Bound::Included(text) => ('[', Some(text)),
                Bound::Excluded(text) => ('{', Some(text)),
                Bound::Unbounded => ('[', None),
            };
            let (close, upper) = match upper {
                Bound::Included(text) => (']', Some(text)),
                Bound::Excluded(text) => ('}', Some(text)),
                Bound::Unbounded => (']', None),
            };
            let side = |text: Option<&String>| text.map_or("*".to_owned(), |text| bound(text));
            write!(out, "{open}{} TO {}{close}", side(lower), side(upper)).expect(infallible);
        }
    }
}

fn print_field(out: &mut String, field: &str) {
    out.push_str(&escape(field));
    out.push(':');
}

/// A pattern in which no `\u` looks like the beginning of a unit of UTF-16; patterns are put in lower case when they are read.
fn without_units(pattern: &str) -> String {
    pattern.replace("\\u", "\\U")
}

/// A bound. Inside quotes a quote would do as an end even after a backslash, so neither is written there as it is.
fn bound(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\u0022"),
            '\\' => quoted.push_str("\\u005c"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
