//! Evidence bundles (specs/proofs.md §8): a sparse tlog-tiles log with the bodies and salts of chosen events.
//!
//! ```text
//! checkpoint                         the signed head
//! tile/<L>/<N>[.p/<W>]               the tiles that lead from the events to its root, the right edge included
//! tile/entries/<N>[.p/<W>]           the whole entry bundles that hold the events
//! bodies/<index>  salts/<index>      the events disclosed
//! keys  policy  README  timestamps/  whom one may believe; read by people, and by nobody here unless asked to
//! ```
//!
//! Every tile in the bundle is led up to the signed root with all its hashes, every entry is compared with its leaf hash, every
//! body with its commitment. Pure but for the reading of files.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tlog::checkpoint::Checkpoint;
use tlog::entry::{Entry, Payload};
use tlog::tile::{self, BundleId, Resource, TileId, WIDTH};
use tlog::{Hash, batch};

use super::disclosed::{self, Disclosed};
use super::files::Files;
use super::tiles::{Fault, Tiles};
use super::trust::{Trust, Unopened, Witnessed};
use super::{Divergence, Verdict};

/// What was read and what came of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The log's name, as signed.
    pub origin: String,
    /// Entries of the log at the bundle's checkpoint.
    pub size: u64,
    /// The signed root.
    pub root: String,
    /// The events disclosed, in order.
    pub events: Vec<Event>,
    /// Entries read and verified, disclosed or not.
    pub entries_verified: u64,
    /// Tiles of hashes read and verified.
    pub tiles_verified: u64,
    /// What is not as committed.
    pub divergences: Vec<Divergence>,
    /// Why it could not be decided, if so.
    pub undecided: Vec<String>,
    /// Files that say nothing to a verifier.
    pub not_read: Vec<String>,
    /// Witnesses whose cosignature of this head holds.
    pub witnesses: Vec<Witnessed>,
    /// Whether the policy is met; none without one.
    pub policy_met: Option<bool>,
}

/// One event of a bundle.
#[derive(Debug, Serialize)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// Its position.
    pub index: u64,
    /// When it was received, RFC 3339.
    pub recorded_at: Option<String>,
    /// Whether its body is the one that the log commits to.
    pub verified: bool,
}

impl Report {
    /// Tainted beats undecided: what was found stays found.
    pub fn verdict(&self) -> Verdict {
        if !self.divergences.is_empty() {
            Verdict::Tainted
        } else if !self.undecided.is_empty() || self.events.is_empty() {
            Verdict::Undecided
        } else {
            Verdict::Verified
        }
    }

    fn diverges(&mut self, seq: Option<u64>, reason: &'static str, detail: impl Into<String>) {
        self.divergences.push(Divergence { seq, reason, detail: detail.into() });
    }

    fn takes(&mut self, fault: Fault) {
        match fault {
            Fault::Missing(what) => self.undecided.push(what),
            Fault::Changed(what) => self.diverges(None, "tile_changed", what),
        }
    }
}

/// Verifies a bundle whose files are `paths`. `remembered`: checkpoints that the caller keeps; one of the bundle's log and size
/// must have its root.
pub fn verify(files: &dyn Files, paths: &[String], trust: &Trust, remembered: &[Checkpoint]) -> Report {
    let mut report = Report::default();
    let opened = match trust.open_checkpoint(files) {
        Ok((_, opened)) => opened,
        Err(Unopened::Missing(why)) => {
            report.undecided.push(why);
            return report;
        }
        Err(Unopened::Refused(why)) => {
            report.diverges(None, "signature_invalid", why);
            return report;
        }
    };
    let head = &opened.signed.checkpoint;
    report.origin.clone_from(&head.origin);
    (report.size, report.root) = (head.size, head.root.to_string());
    report.witnesses = opened.witnessed();
    report.policy_met = opened.policy.is_met();
    if let Some(why) = opened.policy.unmet() {
        report.diverges(None, "policy_unmet", why);
    }
    for old in remembered.iter().filter(|old| old.origin == head.origin) {
        if old.size == head.size && old.root != head.root {
            report.diverges(None, "forked", format!("another root was remembered at size {}", old.size));
        }
    }
    let parts = Parts::of(paths, head.size, &mut report);
    let tree = Tiles::new(files, head.size);
    if let Err(fault) = tree.check_edge(&head.root) {
        report.takes(fault);
    }
    for tile in &parts.tiles {
        match tree.check_against_parent(tile.level, tile.index).and_then(|()| tree.tile(tile.level, tile.index)) {
            Ok(_) => report.tiles_verified += 1,
            Err(fault) => report.takes(fault),
        }
    }
    let mut commitments = BTreeMap::new();
    for bundle in &parts.bundles {
        match entries(files, &tree, *bundle, &mut report) {
            Ok(found) => commitments.extend(found),
            Err(why) => report.undecided.push(why),
        }
    }
    check_bodies(files, &parts, &commitments, &mut report);
    if report.events.is_empty() && report.verdict() != Verdict::Tainted {
        report.undecided.push("the bundle discloses no event".to_owned());
    }
    report
}

/// What the paths of a bundle are.
#[derive(Default)]
struct Parts {
    tiles: BTreeSet<TileId>,
    bundles: BTreeSet<BundleId>,
    /// Indexes with a body or a salt of their own.
    events: BTreeSet<u64>,
    /// Entry bundles with a pack of bodies.
    packs: BTreeSet<BundleId>,
}

impl Parts {
    fn of(paths: &[String], size: u64, report: &mut Report) -> Parts {
        let mut parts = Parts::default();
        for path in paths {
            let index = path.strip_prefix("bodies/").or_else(|| path.strip_prefix("salts/"));
            let pack = path.strip_prefix("disclosed/").map(|rest| format!("tile/entries/{rest}"));
            if let Ok(Resource::Tile(id)) = path.parse()
                && TileId::at_size(id.level, id.index, size) == Some(id)
            {
                parts.tiles.insert(id);
            } else if let Ok(Resource::Bundle(id)) = path.parse()
                && BundleId::at_size(id.index, size) == Some(id)
            {
                parts.bundles.insert(id);
            } else if let Some(Ok(id)) = pack.map(|path| path.parse::<BundleId>())
                && BundleId::at_size(id.index, size) == Some(id)
            {
                parts.packs.insert(id);
            } else if let Some(index) = index.and_then(decimal) {
                parts.events.insert(index);
            } else if path != "checkpoint" {
                report.not_read.push(path.clone());
            }
        }
        parts
    }
}

/// What an entry promises of its body.
struct Promise {
    seq: u64,
    received_at_us: u64,
    body_bytes: u32,
    commitment: Hash,
}

/// Reads an entry bundle and compares each entry with its leaf hash; what those with commitments promise, by index.
fn entries(
    files: &dyn Files,
    tree: &Tiles<'_>,
    bundle: BundleId,
    report: &mut Report,
) -> Result<BTreeMap<u64, Promise>, String> {
    let bytes = files.need(&bundle.to_string())?;
    let entries = match tile::decode_bundle(&bytes, bundle.width) {
        Ok(entries) => entries,
        Err(error) => {
            report.diverges(Some(bundle.index * WIDTH + 1), "record_changed", format!("{bundle}: {error}"));
            return Ok(BTreeMap::new());
        }
    };
    let hashes = match tree.tile(0, bundle.index) {
        Ok(hashes) => hashes,
        Err(Fault::Missing(what)) => return Err(what),
        Err(Fault::Changed(what)) => {
            report.diverges(None, "tile_changed", what);
            return Ok(BTreeMap::new());
        }
    };
    let mut promises = BTreeMap::new();
    for ((index, bytes), (leaf, hash)) in
        bundle.entries().zip(&entries).zip(batch::leaf_hashes(&entries).iter().zip(&hashes))
    {
        if leaf != hash {
            report.diverges(Some(index + 1), "record_changed", "entry and leaf hash differ");
            continue;
        }
        report.entries_verified += 1;
        let entry = match Entry::decode(bytes) {
            Ok(entry) if entry.index == index => entry,
            Ok(entry) => {
                report.diverges(Some(index + 1), "index_mismatch", format!("the entry says {}", entry.index));
                continue;
            }
            Err(error) => {
                report.diverges(Some(index + 1), "record_changed", error.to_string());
                continue;
            }
        };
        if let Payload::Committed { commitment } = entry.payload {
            let (seq, received_at_us, body_bytes) = (entry.number, entry.received_at_us, entry.body_bytes);
            promises.insert(index, Promise { seq, received_at_us, body_bytes, commitment });
        }
    }
    Ok(promises)
}

fn check_bodies(files: &dyn Files, parts: &Parts, promises: &BTreeMap<u64, Promise>, report: &mut Report) {
    let mut bodies: BTreeMap<u64, Disclosed> = BTreeMap::new();
    for pack in &parts.packs {
        match disclosed::of_bundle(files, *pack) {
            Ok((_, found)) => bodies.extend(found),
            Err(why) => report.undecided.push(why),
        }
    }
    for index in &parts.events {
        match disclosed::of_entry(files, *index) {
            Ok(found) => bodies.extend(found.map(|event| (*index, event))),
            Err(why) => report.undecided.push(why),
        }
    }
    for (index, Disclosed { salt, body }) in bodies {
        let Some(promise) = promises.get(&index) else {
            report
                .undecided
                .push(format!("the entry of the body of index {index} is not here, or could not be verified"));
            continue;
        };
        let verified =
            promise.body_bytes as usize == body.len() && tlog::commitment(&salt, &body) == promise.commitment;
        if !verified {
            report.diverges(Some(promise.seq), "record_changed", "the body is not the one that the entry commits to");
        }
        let recorded_at =
            i64::try_from(promise.received_at_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        let recorded_at = recorded_at.map(|at| format!("{at:.6}"));
        report.events.push(Event { seq: promise.seq, index, recorded_at, verified });
    }
}

fn decimal(text: &str) -> Option<u64> {
    let number = text.parse().ok()?;
    (format!("{number}") == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use tlog::Frontier;
    use tlog::entry::Kind;
    use tlog::note::{SignerKey, VerifierKey};

    use super::super::files::Held;
    use super::super::tiles::needed;
    use super::*;

    const ORIGIN: &str = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// A bundle of some events of a log of `size`.
    fn bundle(size: u64, events: &[u64]) -> (Held, VerifierKey) {
        let body = |index: u64| format!("body {index}").into_bytes();
        let entry = |index: u64| {
            let payload = Payload::Committed { commitment: tlog::commitment(&[index as u8; 16], &body(index)) };
            let body_bytes = body(index).len() as u32;
            Entry {
                kind: Kind::Event,
                body_bytes,
                index,
                number: index + 1,
                received_at_us: 1_000 + index,
                id: [0; 16],
                payload,
            }
            .encode()
        };
        let mut rows: Vec<Vec<Hash>> = vec![Vec::new(); 64];
        let mut frontier = Frontier::new();
        for index in 0..size {
            let leaf = tlog::leaf_hash(&entry(index));
            frontier.push_with(leaf, &mut |level, _, hash| rows[usize::from(level)].push(hash));
        }
        let (tiles, bundles) = needed(events.iter().copied(), size);
        let mut files = BTreeMap::new();
        for id in tiles {
            let row = &rows[usize::from(8 * id.level)];
            let first = (id.index * WIDTH) as usize;
            files.insert(id.to_string(), tile::encode_hashes(&row[first..first + usize::from(id.width)]));
        }
        for id in bundles {
            let entries: Vec<Vec<u8>> = id.entries().map(entry).collect();
            files.insert(id.to_string(), tile::encode_bundle(entries.iter().map(Vec::as_slice)).expect("short"));
        }
        for index in events {
            files.insert(format!("bodies/{index}"), body(*index));
            files.insert(format!("salts/{index}"), disclosed::salt_text(&[*index as u8; 16]).into_bytes());
        }
        let key = SignerKey::from_seed(ORIGIN, &[7; 32]).expect("a key");
        let head = Checkpoint { origin: ORIGIN.to_owned(), size, root: frontier.root() };
        files.insert("checkpoint".to_owned(), head.sign(&[&key]).expect("signed").note.into_bytes());
        (Held(files), key.verifier().clone())
    }

    fn check(files: &Held, key: &VerifierKey) -> Report {
        let paths: Vec<String> = files.0.keys().cloned().collect();
        verify(files, &paths, &Trust { keys: vec![key.clone()], is_pinned: true, ..Trust::default() }, &[])
    }

    #[test]
    fn an_honest_bundle_is_verified_whatever_the_size_of_its_log() {
        for (size, events) in
            [(1, vec![0]), (256, vec![255]), (257, vec![0, 256]), (700, vec![3, 300, 699]), (66_000, vec![5, 65_900])]
        {
            let (files, key) = bundle(size, &events);
            let report = check(&files, &key);
            assert_eq!(report.verdict(), Verdict::Verified, "{report:?}");
            assert_eq!(report.events.iter().map(|e| e.index).collect::<Vec<_>>(), events);
        }
    }

    #[test]
    fn no_file_of_a_bundle_can_be_changed_or_left_out_and_pass() {
        let (files, key) = bundle(600, &[3, 598]);
        for (path, bytes) in &files.0 {
            for at in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
                for bit in [0, 4, 7] {
                    let mut changed = Held(files.0.clone());
                    changed.0.get_mut(path).expect("it is there")[at] ^= 1 << bit;
                    let report = check(&changed, &key);
                    // The final newline of a salt is the one byte that says nothing.
                    let harmless = path.starts_with("salts/") && at == 32;
                    assert!(harmless || report.verdict() != Verdict::Verified, "{path} at {at}");
                }
            }
            let mut without = Held(files.0.clone());
            without.0.remove(path);
            assert_ne!(check(&without, &key).verdict(), Verdict::Verified, "{path}");
        }
    }

    #[test]
    fn a_bundle_under_another_key_or_root_than_remembered_is_refused() {
        let (files, key) = bundle(10, &[3]);
        let other = SignerKey::from_seed(ORIGIN, &[8; 32]).expect("a key");
        assert_eq!(check(&files, other.verifier()).verdict(), Verdict::Tainted);
        let remembered = Checkpoint { origin: ORIGIN.to_owned(), size: 10, root: Hash([1; 32]) };
        let paths: Vec<String> = files.0.keys().cloned().collect();
        let trust = Trust { keys: vec![key], is_pinned: true, ..Trust::default() };
        let report = verify(&files, &paths, &trust, &[remembered]);
        assert_eq!(report.divergences[0].reason, "forked");
    }
}
