//! What an audit trail means: model, access, ingest, projections, queries. The only door to the log.
//!
//! **Promise.** What [`Service::ingest`] acknowledged is durable, hashed and signed; every read that starts afterwards sees
//! it. Each verb that takes a [`Principal`] checks roles, scopes and reach in one table ([`access::TABLE`]) before it does
//! anything. What we do to the trail (logins, refusals, administration, extraction) is itself in the trail. Everything but
//! the logs can be deleted and is made again with the same answers.
//!
//! **Out of scope.** HTTP and wire formats (`dialects`), bytes on disk and signatures (`log`), the meaning of queries
//! (`search`).
//!
//! **Limits.** Named constants beside the code they bound: [`model::event`] for one event, [`ingest`] for one batch,
//! [`query`] for one page, [`config::Lockout`] for guessing passwords. Beyond them the answer is `TooLarge` or
//! `Overloaded`, never a cut in silence.
//!
//! The verbs of [`Service`], by what they are about:
//!
//! | about | verbs |
//! |---|---|
//! | life | `init` `open` `shutdown` `rebuild` `status` `instance` `derive_secret` |
//! | who calls | `login` `login_with_token` `login_unread` `authenticate` `redeem_refresh` `record_refusal` `record_refusal_of` |
//! | organisations | `create_org` `create_org_with_slug` `rename_org` `update_org` `get_org` `list_orgs` `resolve_org` `find_org_by_slug` `find_org_by_log` `default_org` |
//! | accounts | `create_account` `update_account` `get_account` `find_account` `list_accounts` `profile` `change_password` |
//! | tokens | `issue_token` `revoke_token` `list_tokens` |
//! | encryption keys | `add_key` `activate_key` `retire_key` `list_keys` |
//! | events in | `ingest` |
//! | logs | `log_keys` `rotate_log_key` `erase_events` `prune_events` `set_legal_hold` `legal_hold` `log_standing` `close_log` `open_successor` `adopt_log` `acknowledge_taint` `verify_all_logs` |
//! | events out | `query` `query_refined` `query_by_time` `count` `summary` `get` `find` `follow` `completeness` |
//! | recordings | `start_session` `append_chunk` `finish_session` `sessions` `count_sessions` `session` `session_chunks` `read_recording` `session_playback` `session_accesses` `sweep_recordings` |
//! | users | `users` `user` `count_users` `session_score` `explain_session` `recompute_user` `build_baselines` |
//! | detection | `rules` |
//! | proofs | `head` `checkpoint_at` `vkey` `tile` `bundle` `prove_inclusion` `prove_consistency` `prove_event` `evidence` |
//! | outsiders | `shown` `policy` `witness_standing` `timestamp` `timestamp_at` |
//!
//! Verbs that are not `async` may read from disk: call them from a thread that may block.

pub mod access;
mod accounts;
pub mod config;
mod control;
pub mod detection;
mod encoding;
pub mod erasure;
mod error;
pub mod evidence;
pub mod extraction;
mod folder;
pub mod follow;
pub mod ingest;
pub mod keys;
mod lockout;
mod log_keys;
mod log_life;
mod login;
pub mod model;
mod numbers;
mod organisations;
pub mod outbound;
mod own_events;
mod passwords;
mod projection;
mod proofs;
pub mod query;
pub mod recordings;
pub mod refine;
mod retention;
pub mod risk;
mod sealing;
mod secrets;
mod service;
mod status;
pub mod timestamps;
mod tokens;
mod verification;
mod window;
pub mod witnesses;

pub use jiff::Timestamp;
/// Whether a log takes entries, and why not.
pub use log::{LogId, LogState, ReadOnlyReason};

/// Algorithms by name, and what they see.
pub use behaviour;
/// Stores for recordings, for the program to configure.
pub use object_store;
/// The query tree and the native query language, for dialects that make queries.
pub use replay;
/// Encryption to keys of organisations: the schemes by name.
pub use seal;
pub use search;
/// Checkpoints, tiles, notes and proofs, for dialects that show them.
pub use tlog;

pub use access::{Caller, Principal, Role, Scope, Verb};
pub use accounts::{AccountChange, AccountInfo, NewAccount};
pub use config::{Config, IndexOptions, Lockout, PasswordCost, VerificationOptions};
pub use detection::DetectionOptions;
pub use erasure::{ErasureDone, ErasureOrder};
pub use error::{Error, ErrorKind, Result};
pub use evidence::Evidence;
pub use folder::{Init, Initialised, Instance};
pub use follow::Follow;
pub use ingest::{IngestOptions, ItemError, ItemResult, Receipt};
pub use keys::{KeyInfo, KeyState};
pub use log_keys::{LogKeyInfo, RotatedKey};
pub use log_life::LogStanding;
pub use login::LoginError;
pub use model::{
    AccountId, Event, EventDraft, EventState, Fields, Invalid, Kind, NewEvent, OrgId, Outcome, RecordedBy,
    SealedContent, Surface, TokenId, Verdict,
};
pub use organisations::{OrgChange, OrgInfo};
pub use outbound::{Outbound, Post, Posted};
pub use proofs::{LogHead, SealedProof, Shown};
pub use query::complete::Completeness;
pub use query::{EventQuery, Order, Page, Purpose};
pub use recordings::{BlobStore, RecordingOptions, SessionId};
pub use retention::{PruneDone, PruneTo};
pub use risk::RiskOptions;
pub use service::{Rebuilt, Service};
pub use status::{LogStatus, Status};
pub use timestamps::Stamped;
pub use tokens::{AuthenticateError, NewToken, TokenForm, TokenInfo};
pub use verification::LastVerification;
pub use witnesses::{Standing, WitnessStats, Witnessing};
