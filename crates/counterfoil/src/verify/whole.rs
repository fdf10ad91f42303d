//! Whole-log verification over the files a log publishes (C2SP tlog-tiles): `checkpoint`, `tile/…`, `tile/entries/…`.
//!
//! Every entry is read, its position, number and time checked, hashed, compared with the published leaf hash and folded
//! into the root, which must be the signed one. Remembered checkpoints must be met on the way. Entries of events hold a
//! commitment to the event, not the event: where the source holds bodies too (an export does, an address does not), each is
//! hashed with its salt and compared with its commitment.

use serde::Serialize;
use tlog::checkpoint::Checkpoint;
use tlog::entry::{Entry, Kind, Payload};
use tlog::tile::{self, BundleId, TileId};
use tlog::{Frontier, Hash, batch};

use super::disclosed::{self, Disclosed};
use super::files::Files;
use super::growth;
use super::tiles::Fault;
use super::trust::{Trust, Unopened, Witnessed};
use super::{Divergence, Verdict};

/// Divergences listed; all are counted.
const LISTED_MAX: usize = 1_000;

/// What was read and what came of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The log's name, as signed.
    pub origin: String,
    /// Entries under the checkpoint, without those that a note of the log says are pruned.
    pub entries_expected: u64,
    /// Entries that are pruned: of these only what their hashes add up to is checked.
    pub entries_pruned: u64,
    /// Entries read and checked.
    pub entries_read: u64,
    /// Bytes of entries, tiles and bodies read.
    pub bytes_read: u64,
    /// Bodies compared with their commitments.
    pub bodies_checked: u64,
    /// Bodies that the source does not hold though it holds others, explained by an erasure note.
    pub bodies_erased: u64,
    /// Witnesses whose cosignature of this head holds.
    pub witnesses: Vec<Witnessed>,
    /// Whether the policy is met; none without one.
    pub policy_met: Option<bool>,
    /// The signed root.
    pub root: String,
    /// First divergences, in order.
    pub divergences: Vec<Divergence>,
    /// How many there are.
    pub divergence_count: u64,
    /// Why it could not be decided, if so.
    pub undecided: Option<String>,
    /// What to say of keys that had to be learnt from the log's key notes.
    pub learnt: Option<String>,
    /// The signed note, for remembering.
    #[serde(skip)]
    pub note: String,
}

impl Report {
    /// Tainted beats undecided: what was found stays found.
    pub fn verdict(&self) -> Verdict {
        if self.divergence_count > 0 {
            Verdict::Tainted
        } else if self.undecided.is_some() || self.entries_read != self.entries_expected {
            Verdict::Undecided
        } else {
            Verdict::Verified
        }
    }

    fn diverges(&mut self, seq: Option<u64>, reason: &'static str, detail: String) {
        self.divergence_count += 1;
        if self.divergences.len() < LISTED_MAX {
            self.divergences.push(Divergence { seq, reason, detail });
        }
    }
}

/// Verifies the log behind `source` as far as `trust` goes. `remembered`: checkpoints of this log that it must extend.
/// `with_bodies`: the source is one that holds them. `progress` is told the entries done and expected.
pub fn verify(
    source: &dyn Files,
    trust: &Trust,
    remembered: &[Checkpoint],
    with_bodies: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Report {
    let mut report = Report::default();
    let (note, opened) = match trust.open_checkpoint(source) {
        Ok(found) => found,
        Err(Unopened::Missing(why)) => {
            report.undecided = Some(format!("no checkpoint: {why}"));
            return report;
        }
        Err(Unopened::Refused(why)) => {
            report.diverges(None, "signature_invalid", why);
            return report;
        }
    };
    let head = &opened.signed.checkpoint;
    report.origin.clone_from(&head.origin);
    report.learnt = opened.learnt();
    report.entries_expected = head.size;
    report.root = head.root.to_string();
    report.witnesses = opened.witnessed();
    report.policy_met = opened.policy.is_met();
    if let Some(why) = opened.policy.unmet() {
        report.diverges(None, "policy_unmet", why.to_owned());
    }
    report.note = note;

    let mut waiting: Vec<&Checkpoint> = remembered.iter().filter(|c| c.origin == head.origin).collect();
    waiting.sort_by_key(|c| c.size);
    if let Some(newest) = waiting.last().filter(|c| c.size > head.size) {
        let detail = format!("the log shows size {}, but size {} was remembered", head.size, newest.size);
        report.diverges(None, "rolled_back", detail);
        waiting.retain(|c| c.size <= head.size);
    }
    let known = trust.known(&opened);
    let pruned = match Pruned::of(source, head) {
        Ok(pruned) => pruned,
        Err(why) => {
            report.undecided = Some(why);
            return report;
        }
    };
    report.entries_pruned = pruned.entries;
    report.entries_expected -= pruned.entries;
    // Those within what is pruned are met by a proof of the log's; the others on the way.
    let (within, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|c| c.size < pruned.entries);
    for old in within {
        match growth::extends(source, &known, old, head) {
            Ok(()) => {}
            Err(Fault::Changed(why)) => report.diverges(Some(old.size), "forked", why),
            Err(Fault::Missing(why)) => {
                report.undecided = Some(format!("whether it extends the remembered size {}: {why}", old.size));
            }
        }
    }
    let course = Course { head, pruned, waiting };
    match walk(source, &course, with_bodies, &mut report, progress) {
        Ok(()) => {}
        Err(why) => report.undecided = Some(why),
    }
    report
}

/// From where to where the log is read, and what is to be met on the way.
struct Course<'a> {
    head: &'a Checkpoint,
    pruned: Pruned,
    /// Remembered checkpoints by size.
    waiting: Vec<&'a Checkpoint>,
}

/// Reads all entries in order. Returns early, with the reason, when something can't be had.
fn walk(
    source: &dyn Files,
    course: &Course<'_>,
    with_bodies: bool,
    report: &mut Report,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), String> {
    let Course { head, pruned, waiting } = course;
    let mut frontier = pruned.frontier()?;
    let mut waiting = waiting.iter().peekable();
    let mut last = Last::default();
    let mut tile_roots: Vec<Hash> = pruned.tile_roots.clone();
    let mut bodies = Bodies::default();
    while let Some(remembered) = waiting.next_if(|c| c.size <= frontier.size()) {
        // Nothing was read yet: it lies at the very end of what is pruned, or is the empty tree.
        if remembered.size == frontier.size() && frontier.root() != remembered.root {
            let detail = format!("at size {} the root is not the remembered one", remembered.size);
            report.diverges(None, "forked", detail);
        }
    }
    for index in pruned.entries / tile::WIDTH..head.size.div_ceil(tile::WIDTH) {
        let Some(bundle) = BundleId::at_size(index, head.size) else { break };
        let bytes = source.need(&bundle.to_string())?;
        report.bytes_read += bytes.len() as u64;
        let entries = match tile::decode_bundle(&bytes, bundle.width) {
            Ok(entries) => entries,
            Err(error) => {
                let first = index * tile::WIDTH;
                report.diverges(Some(first + 1), "record_missing", format!("{bundle}: {error}"));
                return Err(format!("entries from {} on could not be read", first + 1));
            }
        };
        let leaves = batch::leaf_hashes(&entries);
        let Some(tile) = TileId::at_size(0, index, head.size) else { break };
        let published = source.need(&tile.to_string())?;
        report.bytes_read += published.len() as u64;
        let published = tile::decode_hashes(&published, tile.width).map_err(|error| format!("{tile}: {error}"));
        match &published {
            Ok(hashes) => {
                for (i, (leaf, hash)) in leaves.iter().zip(hashes).enumerate() {
                    if leaf != hash {
                        let seq = index * tile::WIDTH + i as u64 + 1;
                        report.diverges(Some(seq), "record_changed", "entry and published leaf hash differ".to_owned());
                    }
                }
            }
            Err(detail) => report.diverges(Some(index * tile::WIDTH + 1), "tile_changed", detail.clone()),
        }
        for (i, (entry, leaf)) in entries.iter().zip(&leaves).enumerate() {
            let position = index * tile::WIDTH + i as u64;
            last.check(position, entry, report);
            frontier.push_with(*leaf, &mut |level, _, hash| {
                if level == tile::HEIGHT {
                    tile_roots.push(hash);
                }
            });
            while let Some(remembered) = waiting.next_if(|c| c.size == frontier.size()) {
                if frontier.root() != remembered.root {
                    let detail = format!("at size {} the root is not the remembered one", remembered.size);
                    report.diverges(Some(remembered.size), "forked", detail);
                }
            }
        }
        if with_bodies {
            bodies.check(source, bundle, &entries, report)?;
        }
        report.entries_read += entries.len() as u64;
        progress(report.entries_read, report.entries_expected);
    }
    if frontier.root() != head.root {
        let detail = format!("the entries hash to {}, signed is {}", frontier.root(), head.root);
        report.diverges(None, "root_mismatch", detail);
    }
    if last.pruned_by_note < pruned.entries {
        let detail =
            format!("numbers 1 to {} are not there, and no note of the log says that they were pruned", pruned.entries);
        report.diverges(Some(1), "record_missing", detail);
    }
    bodies.finish(report);
    check_level_one(source, head, &tile_roots, report)
}

/// Bodies beside the entries, and what erasure notes say of those that are not there.
#[derive(Default)]
struct Bodies {
    absent: std::collections::BTreeSet<u64>,
    erased: std::collections::BTreeSet<u64>,
}

impl Bodies {
    fn check(
        &mut self,
        source: &dyn Files,
        bundle: BundleId,
        entries: &[&[u8]],
        report: &mut Report,
    ) -> Result<(), String> {
        let (bytes, disclosed) = disclosed::of_bundle(source, bundle)?;
        report.bytes_read += bytes;
        for (position, bytes) in bundle.entries().zip(entries) {
            // An entry that does not read was reported where it was met first.
            let Ok(entry) = Entry::decode(bytes) else { continue };
            if let (Kind::ErasureNote, Payload::Inline(note)) = (entry.kind, entry.payload) {
                self.erased.extend(erased_numbers(note));
            }
            let Payload::Committed { commitment } = entry.payload else { continue };
            match disclosed.get(&position) {
                Some(Disclosed { salt, body }) => {
                    report.bodies_checked += 1;
                    if entry.body_bytes as usize != body.len() || tlog::commitment(salt, body) != commitment {
                        let detail = "the body is not the one that the entry commits to".to_owned();
                        report.diverges(Some(position + 1), "record_changed", detail);
                    }
                }
                None => drop(self.absent.insert(entry.number)),
            }
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) {
        let unexplained: Vec<u64> = self.absent.difference(&self.erased).copied().collect();
        report.bodies_erased = (self.absent.len() - unexplained.len()) as u64;
        if let (Some(first), None) = (unexplained.first(), &report.undecided) {
            let count = unexplained.len();
            report.undecided =
                Some(format!("{count} bodies are not here and no erasure note says why, the first of number {first}"));
        }
    }
}

/// The numbers that an erasure note names: its member `numbers`.
fn erased_numbers(note: &[u8]) -> Vec<u64> {
    let note: serde_json::Value = serde_json::from_slice(note).unwrap_or_default();
    let numbers = note.get("numbers").and_then(serde_json::Value::as_array);
    numbers.into_iter().flatten().filter_map(serde_json::Value::as_u64).collect()
}

/// What a log does not show any more: the oldest entries, up to a full tile.
#[derive(Default)]
struct Pruned {
    entries: u64,
    /// Of the tiles of leaf hashes that are gone with them.
    tile_roots: Vec<Hash>,
}

impl Pruned {
    /// What the source says is pruned; that it was is believed only by a note in the log, and the hashes only by the signed root.
    fn of(source: &dyn Files, head: &Checkpoint) -> Result<Pruned, String> {
        let Some(state) = source.read("state")? else { return Ok(Pruned::default()) };
        let state: serde_json::Value =
            serde_json::from_slice(&state).map_err(|error| format!("the log's state is not JSON: {error}"))?;
        let entries = state.get("minimum_index").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if !entries.is_multiple_of(tile::WIDTH) || entries > head.size {
            return Err(format!("the log's state says that {entries} of {} entries are pruned", head.size));
        }
        let tiles = entries / tile::WIDTH;
        let mut tile_roots = Vec::new();
        for index in 0..tiles.div_ceil(tile::WIDTH) {
            let id = TileId::at_size(1, index, head.size).ok_or("the tree has no such tile")?;
            let hashes = tile::decode_hashes(&source.need(&id.to_string())?, id.width);
            tile_roots.extend(hashes.map_err(|error| format!("{id}: {error}"))?);
        }
        tile_roots.truncate(tiles as usize);
        Ok(Pruned { entries, tile_roots })
    }

    /// The tree over what is pruned: the peaks of a tree of tiles are those of the tree.
    fn frontier(&self) -> Result<Frontier, String> {
        let mut of_tiles = Frontier::new();
        of_tiles.extend(&self.tile_roots);
        Frontier::from_parts(self.entries, &of_tiles.hashes()).map_err(|error| error.to_string())
    }
}

/// The published tiles of level 1 must hold the roots of the level-0 tiles just recomputed.
fn check_level_one(source: &dyn Files, head: &Checkpoint, roots: &[Hash], report: &mut Report) -> Result<(), String> {
    for (index, expected) in roots.chunks(tile::WIDTH as usize).enumerate() {
        let Some(tile) = TileId::at_size(1, index as u64, head.size) else { break };
        let bytes = source.need(&tile.to_string())?;
        report.bytes_read += bytes.len() as u64;
        match tile::decode_hashes(&bytes, tile.width) {
            Ok(hashes) if hashes == expected => {}
            Ok(_) => report.diverges(None, "tile_changed", format!("{tile} is not made of the tiles below it")),
            Err(error) => report.diverges(None, "tile_changed", format!("{tile}: {error}")),
        }
    }
    Ok(())
}

/// What the entry before said, for the rules that span entries.
#[derive(Default)]
struct Last {
    number: Option<u64>,
    received_at_us: u64,
    /// Up to where a note says that the log was pruned.
    pruned_by_note: u64,
}

impl Last {
    fn check(&mut self, position: u64, bytes: &[u8], report: &mut Report) {
        let seq = Some(position + 1);
        let entry = match Entry::decode(bytes) {
            Ok(entry) => entry,
            Err(error) => return report.diverges(seq, "record_changed", error.to_string()),
        };
        if entry.index != position {
            report.diverges(seq, "index_mismatch", format!("the entry at {position} says {}", entry.index));
        }
        if self.number.is_some_and(|number| entry.number <= number) {
            report.diverges(seq, "number_not_rising", format!("number {}", entry.number));
        }
        if entry.received_at_us < self.received_at_us {
            report.diverges(seq, "time_backwards", format!("{} after {}", entry.received_at_us, self.received_at_us));
        }
        if let (Kind::LogNote, Payload::Inline(note)) = (entry.kind, entry.payload) {
            let note: serde_json::Value = serde_json::from_slice(note).unwrap_or_default();
            let minimum = note.get("minimum_index").and_then(serde_json::Value::as_u64);
            let minimum = minimum.filter(|_| note.get("log").and_then(serde_json::Value::as_str) == Some("pruned"));
            self.pruned_by_note = self.pruned_by_note.max(minimum.unwrap_or(0));
        }
        self.number = Some(entry.number);
        self.received_at_us = self.received_at_us.max(entry.received_at_us);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tlog::note::{SignerKey, VerifierKey};

    use super::super::files::Held;
    use super::*;

    const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn publish(size: u64) -> (Held, VerifierKey) {
        let mut files = BTreeMap::new();
        let entries: Vec<Vec<u8>> = (0..size)
            .map(|index| {
                let payload = Payload::Committed { commitment: tlog::commitment(&[index as u8; 16], b"body") };
                Entry {
                    kind: Kind::Event,
                    body_bytes: 4,
                    index,
                    number: index + 1,
                    received_at_us: 1_000 + index,
                    id: [0; 16],
                    payload,
                }
                .encode()
            })
            .collect();
        let leaves: Vec<Hash> = entries.iter().map(|e| tlog::leaf_hash(e)).collect();
        let mut frontier = Frontier::new();
        let mut roots = Vec::new();
        for leaf in &leaves {
            frontier.push_with(*leaf, &mut |level, _, hash| {
                if level == tile::HEIGHT {
                    roots.push(hash);
                }
            });
        }
        for (level, hashes) in [(0, &leaves), (1, &roots)] {
            for (index, chunk) in hashes.chunks(256).enumerate() {
                let id = TileId { level, index: index as u64, width: chunk.len() as u16 };
                files.insert(id.to_string(), tile::encode_hashes(chunk));
            }
        }
        for (index, chunk) in entries.chunks(256).enumerate() {
            let id = BundleId { index: index as u64, width: chunk.len() as u16 };
            let bytes = tile::encode_bundle(chunk.iter().map(Vec::as_slice)).expect("short entries");
            files.insert(id.to_string(), bytes);
        }
        let key = SignerKey::from_seed(ORIGIN, &[7; 32]).expect("a key");
        let head = Checkpoint { origin: ORIGIN.to_owned(), size, root: frontier.root() };
        files.insert("checkpoint".to_owned(), head.sign(&[&key]).expect("signed").note.into_bytes());
        (Held(files), key.verifier().clone())
    }

    fn check(files: &Held, key: &VerifierKey, remembered: &[Checkpoint]) -> Report {
        let trust = Trust { keys: vec![key.clone()], is_pinned: true, ..Trust::default() };
        let with_bodies = files.0.keys().any(|path| path.starts_with("bodies/") || path.starts_with("disclosed/"));
        verify(files, &trust, remembered, with_bodies, &mut |_, _| {})
    }

    #[test]
    fn an_honest_log_of_any_size_is_verified_whole() {
        for size in [0, 1, 255, 256, 257, 700] {
            let (files, key) = publish(size);
            let report = check(&files, &key, &[]);
            assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
            assert_eq!(report.entries_read, size);
        }
    }

    #[test]
    fn a_changed_byte_in_any_published_file_is_never_verified() {
        let (files, key) = publish(300);
        for (path, bytes) in &files.0 {
            for at in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
                let mut changed = Held(files.0.clone());
                changed.0.get_mut(path).expect("the file")[at] ^= 0x40;
                let report = check(&changed, &key, &[]);
                assert_ne!(report.verdict(), Verdict::Verified, "{path} at {at}");
            }
        }
    }

    #[test]
    fn a_changed_entry_is_named() {
        let (mut files, key) = publish(300);
        // Entry 4 starts after four times 2 + 80 bytes; its commitment is the last 32 bytes.
        files.0.get_mut("tile/entries/000").expect("the bundle")[4 * 82 + 2 + 79] ^= 1;
        let report = check(&files, &key, &[]);
        assert_eq!(report.divergences[0].seq, Some(5));
        assert_eq!(report.divergences[0].reason, "record_changed");
    }

    #[test]
    fn a_missing_file_leaves_it_undecided() {
        let (mut files, key) = publish(300);
        files.0.remove("tile/entries/001.p/44");
        assert_eq!(check(&files, &key, &[]).verdict(), Verdict::Undecided);
    }

    #[test]
    fn bodies_beside_the_entries_are_held_to_their_commitments_in_either_form() {
        let (published, key) = publish(300);
        let body = |_: u64| b"body".to_vec();
        let singly: BTreeMap<String, Vec<u8>> = (0..300u64)
            .flat_map(|index| {
                let salt = format!("{}\n", hex::encode([index as u8; 16]));
                [(format!("bodies/{index}"), body(index)), (format!("salts/{index}"), salt.into_bytes())]
            })
            .collect();
        let packed: BTreeMap<String, Vec<u8>> = [(0, 256), (256, 300)]
            .into_iter()
            .map(|(from, to)| {
                let events: Vec<_> =
                    (from..to).map(|i: u64| Some(Disclosed { salt: [i as u8; 16], body: body(i) })).collect();
                let id = BundleId { index: from / 256, width: (to - from) as u16 };
                (disclosed::pack_path(id), disclosed::pack(&events))
            })
            .collect();
        for bodies in [singly, packed] {
            let mut files = Held(published.0.clone());
            files.0.extend(bodies.clone());
            let report = check(&files, &key, &[]);
            assert_eq!((report.verdict(), report.bodies_checked), (Verdict::Verified, 300), "{report:?}");
            for path in bodies.keys().step_by(37) {
                for at in 0..bodies[path].len().min(60) {
                    let mut changed = Held(files.0.clone());
                    changed.0.get_mut(path).expect("it is there")[at] ^= 1;
                    assert_ne!(check(&changed, &key, &[]).verdict(), Verdict::Verified, "{path} at {at}");
                }
                let mut without = Held(files.0.clone());
                without.0.remove(path);
                assert_eq!(check(&without, &key, &[]).verdict(), Verdict::Undecided, "{path}");
            }
        }
    }

    #[test]
    fn a_policy_that_is_not_met_is_told_and_one_that_is_names_its_witness() {
        let (mut files, key) = publish(5);
        let witness = SignerKey::cosigner_from_seed("witness.example/w", &[9; 32]).expect("a key");
        let policy = format!("log {key}\nwitness w {}\nquorum w\n", witness.verifier());
        let trust = Trust {
            keys: Vec::new(),
            policy: Some(policy.parse().expect("a policy")),
            is_pinned: true,
            ..Trust::default()
        };
        let report = verify(&files, &trust, &[], false, &mut |_, _| {});
        assert_eq!((report.verdict(), report.divergences[0].reason), (Verdict::Tainted, "policy_unmet"));
        assert_eq!(report.entries_read, 5, "everything is read all the same");

        let note = String::from_utf8(files.0["checkpoint"].clone()).expect("text");
        let text = note.split_once("\n\n").expect("a note").0.to_owned() + "\n";
        let note = note + &witness.cosign(&text, 1_700_000_000);
        files.0.insert("checkpoint".to_owned(), note.into_bytes());
        let report = verify(&files, &trust, &[], false, &mut |_, _| {});
        assert_eq!(report.verdict(), Verdict::Verified);
        let expected =
            Witnessed { witness: "witness.example/w".to_owned(), at: Some("2023-11-14T22:13:20Z".to_owned()) };
        assert_eq!(report.witnesses, [expected]);
    }

    /// Row 13 of the attack table: an old checkpoint that is genuine.
    #[test]
    fn a_checkpoint_that_its_witnesses_signed_too_long_ago_is_refused() {
        let witness = SignerKey::cosigner_from_seed("witness.example/w", &[9; 32]).expect("a key");
        let now = u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970");
        let hour = Duration::from_secs(3_600);
        for (signed_s, within, verdict) in [
            (now - 7_200, Some(hour), Verdict::Tainted),
            (now - 7_200, Some(3 * hour), Verdict::Verified),
            (now - 7_200, None, Verdict::Verified),
            (now - 60, Some(hour), Verdict::Verified),
        ] {
            let (mut files, key) = publish(5);
            let note = String::from_utf8(files.0["checkpoint"].clone()).expect("text");
            let text = note.split_once("\n\n").expect("a note").0.to_owned() + "\n";
            files.0.insert("checkpoint".to_owned(), (note + &witness.cosign(&text, signed_s)).into_bytes());
            let policy = format!("log {key}\nwitness w {}\nquorum w\n", witness.verifier());
            let policy = Some(policy.parse().expect("a policy"));
            let trust = Trust { policy, cosigned_within: within, ..Trust::default() };
            let report = verify(&files, &trust, &[], false, &mut |_, _| {});
            assert_eq!(report.verdict(), verdict, "{within:?}");
            if verdict == Verdict::Tainted {
                assert_eq!(report.divergences[0].reason, "policy_unmet");
                assert!(report.divergences[0].detail.contains("frozen"), "{report:?}");
            }
        }
    }

    #[test]
    fn another_logs_files_and_another_history_are_refused() {
        let (files, _) = publish(10);
        let other = SignerKey::from_seed("audit.example.org/l/bbbbbbbbbbbbbbbbbbbbbbbbbb", &[8; 32]).expect("a key");
        assert_eq!(check(&files, other.verifier(), &[]).verdict(), Verdict::Tainted);
        let (files, key) = publish(10);
        let remembered = |size, root| Checkpoint { origin: ORIGIN.to_owned(), size, root };
        assert_eq!(check(&files, &key, &[remembered(5, Hash([1; 32]))]).divergences[0].reason, "forked");
        assert_eq!(check(&files, &key, &[remembered(11, Hash([1; 32]))]).divergences[0].reason, "rolled_back");
    }
}
