//! What an audit trail is made of: identifiers, events, and how an event looks through each surface.

mod diagnose;
pub mod event;
#[cfg(test)]
mod event_tests;
pub mod feed;
mod id;
pub mod strict;
pub mod time;
pub mod views;

pub use event::{
    Event, EventDraft, EventState, Fields, Invalid, Kind, NewEvent, Origin, OriginDraft, Outcome, Party, PartyDraft,
    RecordedBy, SealedContent, Source, SourceDraft, Target, TargetDraft, Text, Unreadable, Verdict,
};
pub use id::{AccountId, InvalidId, OrgId, TokenId};
pub use views::Surface;
