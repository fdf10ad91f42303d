//! The table a team would make in PostgreSQL instead of us, and the requests that fill and read it.
//!
//! Kept cheap where there is a choice: two secondary indexes where ours answers by ten fields and by words, nothing that makes
//! rows hard to change afterwards, and `json` for the event (no conversion on the way in, the text verbatim on the way out) unless a row
//! says `jsonb`.

use anyhow::Result;
use bytes::Bytes;

use crate::events::{Sample, time_text};
use crate::postgres::{self, Address, Connection, oid};

/// Which table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// With the sender's id, unique, as idempotency needs it.
    pub with_ids: bool,
    /// The event as `jsonb`, what one would take to query inside of it, instead of `json`.
    pub jsonb: bool,
}

/// The columns a sender gives, in order; with client ids `id` comes last.
const COLUMNS: &str = "org, occurred_at, kind, action, outcome, actor, source, session, event";
const ORG: [u8; 4] = 1i32.to_be_bytes();

/// Makes the table `event` anew.
pub async fn create(address: &Address, layout: Layout) -> Result<()> {
    let (column, index) = match layout.with_ids {
        true => (", id text", "CREATE UNIQUE INDEX ON event (org, id);"),
        false => ("", ""),
    };
    let json = if layout.jsonb { "jsonb" } else { "json" };
    let sql = format!(
        "DROP TABLE IF EXISTS event;
         CREATE TABLE event (
             org int NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, recorded_at timestamptz NOT NULL DEFAULT now(),
             occurred_at timestamptz NOT NULL, kind text NOT NULL, action text NOT NULL, outcome text NOT NULL, actor text,
             source text, session text, event {json} NOT NULL{column},
             PRIMARY KEY (org, seq));
         CREATE INDEX ON event (org, occurred_at);
         CREATE INDEX ON event (org, actor);
         {index}"
    );
    let mut connection = Connection::open(address).await?;
    connection.run(&sql).await?;
    connection.run("CHECKPOINT").await?;
    Ok(())
}

/// How one statement carries many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `INSERT … VALUES (…), (…), …` with a parameter for each value.
    Values,
    /// `INSERT … SELECT … FROM unnest($1, $2, …)` with an array for each column.
    Arrays,
}

/// Statement and parameter types of an insert of `rows` rows.
pub fn insert_statement(shape: Shape, rows: usize, layout: Layout) -> (String, Vec<u32>) {
    let (id, conflict) = if layout.with_ids { (", id", " ON CONFLICT (org, id) DO NOTHING") } else { ("", "") };
    match shape {
        Shape::Values => {
            let mut types = vec![oid::INT4, oid::TIMESTAMPTZ];
            types.extend([oid::TEXT; 6]);
            types.push(if layout.jsonb { oid::JSONB } else { oid::JSON });
            types.extend(layout.with_ids.then_some(oid::TEXT));
            let row = |n: usize| {
                let list: Vec<String> = (1..=types.len()).map(|c| format!("${}", n * types.len() + c)).collect();
                format!("({})", list.join(","))
            };
            let values: Vec<String> = (0..rows).map(row).collect();
            (format!("INSERT INTO event ({COLUMNS}{id}) VALUES {}{conflict}", values.join(",")), types.repeat(rows))
        }
        Shape::Arrays => {
            let mut types = vec![oid::TIMESTAMPTZ_ARRAY];
            types.extend([oid::TEXT_ARRAY; 6]);
            types.push(if layout.jsonb { oid::JSONB_ARRAY } else { oid::JSON_ARRAY });
            types.extend(layout.with_ids.then_some(oid::TEXT_ARRAY));
            let arrays: Vec<String> = (1..=types.len()).map(|c| format!("${c}")).collect();
            let from = format!("SELECT 1, * FROM unnest({})", arrays.join(","));
            (format!("INSERT INTO event ({COLUMNS}{id}) {from}{conflict}"), types)
        }
    }
}

/// The request that inserts these samples with the statement of [`insert_statement`], prepared as `insert`.
pub fn insert_request(shape: Shape, samples: &[Sample], layout: Layout) -> Bytes {
    let times: Vec<[u8; 8]> = samples.iter().map(|s| postgres::timestamptz(s.occurred_at_us)).collect();
    // Binary jsonb is its version, 1, and the text.
    let version: &[u8] = if layout.jsonb { &[1] } else { &[] };
    let documents: Vec<Vec<u8>> = samples.iter().map(|s| [version, s.json.as_bytes()].concat()).collect();
    match shape {
        Shape::Values => {
            let mut parameters: Vec<&[u8]> = Vec::new();
            for ((sample, time), document) in samples.iter().zip(&times).zip(&documents) {
                parameters.extend([ORG.as_slice(), time]);
                parameters.extend(texts(sample).map(str::as_bytes));
                parameters.push(document);
                parameters.extend(layout.with_ids.then_some(sample.id.as_bytes()));
            }
            postgres::execute("insert", parameters.into_iter())
        }
        Shape::Arrays => {
            let mut columns = vec![postgres::array(oid::TIMESTAMPTZ, times.iter().map(|t| t.as_slice()))];
            for column in 0..6 {
                columns.push(postgres::array(oid::TEXT, samples.iter().map(|s| texts(s)[column].as_bytes())));
            }
            let element = if layout.jsonb { oid::JSONB } else { oid::JSON };
            columns.push(postgres::array(element, documents.iter().map(Vec::as_slice)));
            if layout.with_ids {
                columns.push(postgres::array(oid::TEXT, samples.iter().map(|s| s.id.as_bytes())));
            }
            postgres::execute("insert", columns.iter().map(Vec::as_slice))
        }
    }
}

/// The same rows by `COPY`, the fastest way in that PostgreSQL has.
pub fn copy_request(samples: &[Sample]) -> Bytes {
    let mut rows = Vec::new();
    for sample in samples {
        rows.extend_from_slice(b"1\t");
        rows.extend_from_slice(time_text(sample.occurred_at_us).as_bytes());
        for text in texts(sample).into_iter().chain([sample.json.as_str()]) {
            rows.push(b'\t');
            for &byte in text.as_bytes() {
                match byte {
                    b'\\' => rows.extend_from_slice(b"\\\\"),
                    b'\t' => rows.extend_from_slice(b"\\t"),
                    b'\n' => rows.extend_from_slice(b"\\n"),
                    _ => rows.push(byte),
                }
            }
        }
        rows.push(b'\n');
    }
    postgres::copy(&format!("COPY event ({COLUMNS}) FROM STDIN"), &rows)
}

/// How a page leaves PostgreSQL as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageShape {
    /// One row with one array: `json_agg(row_to_json(…))`.
    Aggregate,
    /// A row for each event: `row_to_json(…)`.
    Rows,
    /// The same with every column of the table, not only what ours shows.
    WholeRows,
}

/// The statement for a page of `$2` events after `$1`, and its parameter types. Prepare it as `page`.
pub fn page_statement(shape: PageShape) -> (String, Vec<u32>) {
    let select = match shape {
        PageShape::Aggregate => "json_agg(row_to_json(page))",
        PageShape::Rows | PageShape::WholeRows => "row_to_json(page)",
    };
    let columns = if shape == PageShape::WholeRows { "*" } else { "seq, recorded_at, event" };
    let page = format!("SELECT {columns} FROM event WHERE org = 1 AND seq > $1 ORDER BY seq LIMIT $2");
    let sql = format!("SELECT {select} FROM ({page}) AS page");
    (sql, vec![oid::INT8, oid::INT8])
}

/// The request for one page, see [`page_statement`].
pub fn page_request(after: u64, limit: u64) -> Bytes {
    let (after, limit) = (after.to_be_bytes(), limit.to_be_bytes());
    postgres::execute("page", [after.as_slice(), &limit].into_iter())
}

/// The columns that are text, in the order of [`COLUMNS`].
fn texts(sample: &Sample) -> [&str; 6] {
    [sample.kind, sample.action, sample.outcome, &sample.actor, &sample.source, &sample.session]
}
