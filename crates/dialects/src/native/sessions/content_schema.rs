//! The documents of what was on the screens of sessions.

use serde::Serialize;
use service::SessionId;
use service::recordings::{ContentHit, IndexState, Summary, Unsearched, Why};
use service::replay::screen::Screen;
use service::replay::span::Kind;
use service::search::content::{ContentField, ContentQuery, matched};
use utoipa::ToSchema;

use super::super::wire::time;
use super::schema::SessionDocument;

/// A text that was on a terminal for some time: a line, a command, a window title.
#[derive(Serialize, ToSchema)]
#[schema(as = ContentHit)]
pub struct HitDocument {
    /// `text`, `command` or `title`.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// The text. Rows that were wrapped are one line.
    pub text: String,
    /// The parts of `text` that the query is about: begin and end of each, in Unicode characters. Empty where nothing was
    /// asked for, and for what matches without its words (`-x`, `*:*`).
    pub matches: Vec<(u64, u64)>,
    /// How well it matches, as Lucene has it; absent where nothing was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// The first screen that shows it. Screens count from 1; SPS calls them record ids.
    pub first_screen: u64,
    /// The last screen that shows it.
    pub last_screen: u64,
    /// The screen to look at.
    pub clearest_screen: u64,
    /// The row of that screen on which it begins, from 0.
    pub row: u16,
    /// When it came, RFC 3339.
    pub appeared_at: String,
    /// When it was gone, or when the recording ended.
    pub disappeared_at: String,
    /// When it came, in microseconds after the start of the recording.
    pub appeared_us: u64,
    /// When it was gone, likewise.
    pub disappeared_us: u64,
    /// It came and went between two screens, or is longer than a screen: no screen shows all of it.
    pub passed_by: bool,
    /// The exit status of a command, if the shell told it.
    pub exit: Option<u8>,
}

impl HitDocument {
    /// `query`: what it was found by, if it was.
    pub fn new(hit: ContentHit, query: Option<&ContentQuery>) -> HitDocument {
        let ContentHit { span, score, appeared_at, disappeared_at } = hit;
        let (kind, field) = match span.kind {
            Kind::Text => ("text", ContentField::Text),
            Kind::Command => ("command", ContentField::Command),
            Kind::Title => ("title", ContentField::Title),
        };
        let ranges = query.map_or_else(Vec::new, |query| matched(&span.text, field, query));
        HitDocument {
            kind,
            matches: in_characters(&span.text, &ranges),
            score: query.map(|_| score),
            first_screen: span.first,
            last_screen: span.last,
            clearest_screen: span.clearest,
            row: span.row,
            appeared_at: time(appeared_at),
            disappeared_at: time(disappeared_at),
            appeared_us: span.appeared_us,
            disappeared_us: span.disappeared_us,
            passed_by: span.passed_by,
            exit: span.exit,
            text: span.text,
        }
    }
}

/// Ranges of bytes, in order and apart from each other, as ranges of characters.
fn in_characters(text: &str, ranges: &[std::ops::Range<usize>]) -> Vec<(u64, u64)> {
    let (mut bytes, mut characters) = (0, 0);
    let mut at = |place: usize| {
        characters += text[bytes..place].chars().count() as u64;
        bytes = place;
        characters
    };
    ranges.iter().map(|range| (at(range.start), at(range.end))).collect()
}

/// One page of what was found in a session, the best first.
#[derive(Serialize, ToSchema)]
pub struct Hits {
    /// How many texts match.
    pub total: u64,
    /// The page.
    pub hits: Vec<HitDocument>,
    /// Pass it as `after` for the next page; null at the end. Of more than 10,000 hits the best 10,000 can be had.
    pub next: Option<u64>,
}

/// One page of the commands and titles of a session, in order.
#[derive(Serialize, ToSchema)]
pub struct Commands {
    /// How many there are.
    pub total: u64,
    /// The page.
    pub commands: Vec<HitDocument>,
    /// Pass it as `after` for the next page; null at the end.
    pub next: Option<u64>,
}

/// A session in which something was found.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundSession)]
pub struct FoundDocument {
    /// The session.
    pub session: SessionDocument,
    /// How many texts match.
    pub total: u64,
    /// The best of them.
    pub hits: Vec<HitDocument>,
}

/// A session that might hold something, but could not be looked into.
#[derive(Serialize, ToSchema)]
#[schema(as = UnsearchedSession)]
pub struct UnsearchedDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// When it started.
    pub started_at: String,
    /// `recording`: it is not over. `pending`: it is being indexed, ask again. `unreadable`: see `detail`.
    #[schema(value_type = String)]
    pub reason: &'static str,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<Unsearched> for UnsearchedDocument {
    fn from(unsearched: Unsearched) -> UnsearchedDocument {
        let (reason, detail) = match unsearched.why {
            Why::Recording => ("recording", None),
            Why::Pending => ("pending", None),
            Why::Unreadable(detail) => ("unreadable", Some(detail)),
        };
        UnsearchedDocument { session: unsearched.session, started_at: time(unsearched.started_at), reason, detail }
    }
}

/// One page of sessions in which something was found, the one that started last first.
#[derive(Serialize, ToSchema)]
pub struct FoundSessions {
    /// Those with hits.
    pub sessions: Vec<FoundDocument>,
    /// Those that this page could not look into.
    pub unsearched: Vec<UnsearchedDocument>,
    /// How many sessions this page went through.
    pub looked_into: u64,
    /// Pass it as `after` for the next page; null when all were looked into. A page may be empty and have a next one.
    pub next: Option<String>,
}

/// A screen as it was.
#[derive(Serialize, ToSchema)]
#[schema(as = Screen)]
pub struct ScreenDocument {
    /// The last screen that was numbered up to then; 0 before the first.
    pub screen: u64,
    /// When the last event up to then happened, in microseconds after the start of the recording.
    pub at_us: u64,
    /// The same as RFC 3339.
    pub at: String,
    /// Cells in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Where the next character goes.
    pub cursor: CursorDocument,
    /// A full-screen program has the alternate screen.
    pub alternate: bool,
    /// The window's title.
    pub title: Option<String>,
    /// The text of each row, from the top, without trailing blanks.
    pub text: Vec<String>,
    /// Text and control sequences that bring a blank terminal of this size to look like this, for a terminal emulator.
    pub dump: String,
}

/// Where a cursor is.
#[derive(Serialize, ToSchema)]
#[schema(as = Cursor)]
pub struct CursorDocument {
    /// From 0.
    pub column: u16,
    /// From 0.
    pub row: u16,
    /// A terminal would draw it.
    pub visible: bool,
}

impl ScreenDocument {
    /// `at`: when that was.
    pub fn new(number: u64, at_us: u64, at: String, screen: &Screen) -> ScreenDocument {
        let (size, cursor) = (screen.size(), screen.cursor());
        ScreenDocument {
            screen: number,
            at_us,
            at,
            columns: size.columns(),
            rows: size.rows(),
            cursor: CursorDocument { column: cursor.column, row: cursor.row, visible: cursor.visible },
            alternate: screen.is_alternate(),
            title: screen.title().map(str::to_owned),
            text: screen.rows_text(),
            dump: screen.dump(),
        }
    }
}

/// What there is to say of what was on the screens of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionContent)]
pub struct ContentDocument {
    /// `recording`: the session is not over. `pending`: whoever asks for its content waits for the index. `indexed`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// What was found out, once it is `indexed`.
    #[serde(flatten)]
    pub indexed: Option<IndexedDocument>,
}

/// What the index of a session found out.
#[derive(Serialize, ToSchema)]
#[schema(as = IndexedContent)]
pub struct IndexedDocument {
    /// The format that the recording was read as; null if it is none that is known.
    pub format: Option<String>,
    /// Screens, from 1 to this.
    pub screens: u64,
    /// Texts that can be searched.
    pub texts: u64,
    /// From the first event to the last, in microseconds.
    pub duration_us: u64,
    /// There are commands.
    pub has_commands: bool,
    /// There are window titles.
    pub has_titles: bool,
    /// Programs worth a look that were run, such as `sudo`.
    pub interesting: Vec<String>,
    /// The exit status, if the recording tells it.
    pub exit: Option<i64>,
    /// Where and why the recording could not be read to its end; null: it could.
    pub damage: Option<DamageDocument>,
    /// What is missing although reading went on.
    pub notices: Vec<String>,
}

/// Where and why a recording could not be read to its end.
#[derive(Serialize, ToSchema)]
#[schema(as = Damage)]
pub struct DamageDocument {
    /// Its kind, such as `cut_short`.
    pub reason: Option<String>,
    /// In words, with the place.
    pub detail: String,
}

impl From<IndexState> for ContentDocument {
    fn from(state: IndexState) -> ContentDocument {
        match state {
            IndexState::Recording => ContentDocument { state: "recording", indexed: None },
            IndexState::Pending => ContentDocument { state: "pending", indexed: None },
            IndexState::Indexed(summary) => {
                ContentDocument { state: "indexed", indexed: Some(IndexedDocument::from(*summary)) }
            }
        }
    }
}

impl From<Summary> for IndexedDocument {
    fn from(summary: Summary) -> IndexedDocument {
        let reason = summary.damage_reason;
        IndexedDocument {
            format: summary.format,
            screens: summary.screens,
            texts: summary.spans,
            duration_us: summary.duration_us,
            has_commands: summary.has_commands,
            has_titles: summary.has_titles,
            interesting: summary.interesting,
            exit: summary.exit,
            damage: summary.damage.map(|detail| DamageDocument { reason, detail }),
            notices: summary.notices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_characters;

    #[test]
    fn ranges_of_bytes_become_ranges_of_characters() {
        assert_eq!(in_characters("añb — café", &[0..3, 9..14]), [(0, 2), (6, 10)]);
        assert_eq!(in_characters("", &[]), []);
    }
}
