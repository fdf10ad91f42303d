//! What a live server publishes, checked by programs that we did not write (issue 4, Must show 3).
//!
//! Goal: checkpoint, inclusion, consistency and tiles are accepted by unrelated implementations, and refused by each of them after
//! any tampering with what that aspect is about. Method: the files of a running server are taken over HTTP; *exhibits* are made of
//! them, the honest one and tampered ones; each outsider says accepted or refused for each aspect it knows:
//!
//! | outsider | checkpoint | inclusion | consistency | tiles | entries |
//! |---|---|---|---|---|---|
//! | Go, golang.org/x/mod (Debian) | x | x | x | x | |
//! | `tlog_tiles` with `signed_note` (crates.io) | x | x | x | x | |
//! | `sigstore-merkle` (crates.io) | | x | x | x | |
//! | `ct-merkle` (crates.io) | | x | x | | x |
//! | `@sigstore/verify` (npm) | x | x | | | |
//!
//! *Tiles*: every leaf hash of the log, led up to the signed root by its hash tiles; Go and `tlog_tiles` read the tiles themselves,
//! `sigstore-merkle` is handed the hashes that a tile reader of ours picks from them. *Entries*: the root made anew from all entries.
//!
//! Tools that are not installed are skipped and said so on standard error; with `COUNTERFOIL_REQUIRE_TOOLS=1` that fails.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Server, Trail, curl, json, stdout_of};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use signed_note::{StandardVerifier, VerifierList};
use tlog::Hash;
use tlog::checkpoint::Checkpoint;
use tlog::extends::Extends;
use tlog::proof::NodeReader as _;
use tlog::tile::{self, BundleId};
use tlog::tlog_proof::TlogProof;

/// What is shown to an outsider.
#[derive(Clone)]
struct Exhibit {
    vkey: String,
    checkpoint: String,
    index: u64,
    entry: Vec<u8>,
    inclusion: Vec<Hash>,
    old: (u64, Hash),
    consistency: Vec<Hash>,
    /// Tiles and entry bundles by path.
    tiles: BTreeMap<String, Vec<u8>>,
}

const ASPECTS: [&str; 5] = ["checkpoint", "inclusion", "consistency", "tiles", "entries"];

/// Who says what about one exhibit: (outsider, aspect) to accepted or not.
type Verdicts = BTreeMap<(&'static str, &'static str), bool>;

impl Exhibit {
    /// Takes everything from a running server: the whole log, one inclusion proof, one proof of growth.
    fn of(server: &Server, trail: &Trail, token: &str, old: &str, folder: &Path) -> Exhibit {
        let bearer = format!("Authorization: Bearer {token}");
        let get = |path: &str| {
            let url = format!("{}/l/{}/{path}", server.url(), trail.log_id());
            let (status, body) = curl(&[&url, "-H", &bearer]);
            assert_eq!(status, 200, "{path}: {body}");
            body
        };
        let index = 270;
        // Until nothing was recorded between the two: the server's own events may still be on their way.
        let (folder, proof) = (0..20)
            .find_map(|round| {
                let folder = folder.join(round.to_string());
                let mut export = server.command(token);
                export.args(["prove", "log", "--without-bodies", "--vkey", trail.vkey(), "-o"]).arg(&folder);
                stdout_of(&export.output().expect("it runs"));
                let proof: TlogProof = get(&format!("proof/{index}")).parse().expect("a tlog-proof");
                let exported = fs::read_to_string(folder.join("checkpoint")).expect("exported");
                (exported == proof.checkpoint).then_some((folder, proof))
            })
            .expect("the log comes to rest");
        let folder = &*folder;
        let old: Checkpoint = tlog::note::Note::parse(old).expect("a note").text.parse().expect("a checkpoint");
        let checkpoint = proof.checkpoint.clone();
        let head: Checkpoint =
            tlog::note::Note::parse(&checkpoint).expect("a note").text.parse().expect("a checkpoint");
        let grown: Extends = get(&format!("extends?from={}", old.size)).parse().expect("a proof of growth");
        grown.verify(Some(&old), &old.origin, &[trail.vkey().parse().expect("a key")]).expect("it grew");
        let mut tiles = BTreeMap::new();
        collect(folder, &folder.join("tile"), &mut tiles);
        let tree = Tiles { files: &tiles, tree_size: head.size };
        let consistency = tlog::proof::consistency(&tree, old.size, head.size).expect("within the tree");
        let bundle = BundleId::at_size(index / 256, head.size).expect("in the log");
        let entries = tile::decode_bundle(&tiles[&bundle.to_string()], bundle.width).expect("a bundle");
        let entry = entries[(index % 256) as usize].to_vec();
        let old = (old.size, old.root);
        Exhibit {
            vkey: trail.vkey().to_owned(),
            checkpoint,
            index,
            entry,
            inclusion: proof.hashes,
            old,
            consistency,
            tiles,
        }
    }

    fn write(&self, folder: &Path) {
        let lines = |hashes: &[Hash]| hashes.iter().map(|hash| format!("{hash}\n")).collect::<String>();
        fs::create_dir_all(folder).expect("made");
        for (name, text) in [
            ("vkey", format!("{}\n", self.vkey)),
            ("checkpoint", self.checkpoint.clone()),
            ("index", self.index.to_string()),
            ("inclusion", lines(&self.inclusion)),
            ("consistency", lines(&self.consistency)),
            ("old", format!("{}\n{}\n", self.old.0, self.old.1)),
        ] {
            fs::write(folder.join(name), text).expect("written");
        }
        fs::write(folder.join("entry"), &self.entry).expect("written");
        for (path, bytes) in &self.tiles {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("below a folder")).expect("made");
            fs::write(path, bytes).expect("written");
        }
    }

    /// The head as `signed_note` and `tlog_tiles` read it.
    fn head_by_crates(&self) -> Option<(u64, Hash)> {
        let verifier = StandardVerifier::new(&self.vkey).ok()?;
        let list = VerifierList::new(vec![Box::new(verifier)]);
        let note = signed_note::Note::from_bytes(self.checkpoint.as_bytes()).ok()?;
        note.verify(&list).ok()?;
        let head = tlog_tiles::Checkpoint::from_bytes(note.text()).ok()?;
        (head.origin() == self.vkey.split('+').next()?).then_some((head.size(), Hash(head.hash().0)))
    }

    /// The verdicts of those that are Rust crates.
    fn by_crates(&self) -> Verdicts {
        let mut verdicts = Verdicts::new();
        let head = self.head_by_crates();
        verdicts.insert(("tlog_tiles", "checkpoint"), head.is_some());
        let (size, root) = head.unwrap_or((0, Hash([0; 32])));
        let known = head.is_some();
        let leaf = tlog_tiles::record_hash(&self.entry);
        let foreign = |hashes: &[Hash]| hashes.iter().map(|h| tlog_tiles::Hash(h.0)).collect::<Vec<_>>();
        let included =
            tlog_tiles::check_record(&foreign(&self.inclusion), size, tlog_tiles::Hash(root.0), self.index, leaf);
        verdicts.insert(("tlog_tiles", "inclusion"), known && included.is_ok());
        let (old_size, old_root) = self.old;
        let grew = tlog_tiles::check_tree(
            &foreign(&self.consistency),
            size,
            tlog_tiles::Hash(root.0),
            old_size,
            tlog_tiles::Hash(old_root.0),
        );
        verdicts.insert(("tlog_tiles", "consistency"), known && grew.is_ok());
        verdicts.insert(("tlog_tiles", "tiles"), known && self.tiles_by_crate(size, root, leaf));

        let digests = |hashes: &[Hash]| hashes.iter().map(|h| h.0.into()).collect::<Vec<_>>();
        let included = sigstore_merkle::verify_inclusion_proof(
            &leaf.0.into(),
            self.index,
            size,
            &digests(&self.inclusion),
            &root.0.into(),
        );
        verdicts.insert(("sigstore-merkle", "inclusion"), known && included.is_ok());
        let grew = sigstore_merkle::verify_consistency_proof(
            old_size,
            size,
            &digests(&self.consistency),
            &old_root.0.into(),
            &root.0.into(),
        );
        verdicts.insert(("sigstore-merkle", "consistency"), known && grew.is_ok());
        let tree = Tiles { files: &self.tiles, tree_size: size };
        let led_up = |index: u64| {
            let (found, path) = (tree.node(0, index).ok()?, tlog::proof::inclusion(&tree, index, size).ok()?);
            let is_theirs = index != self.index || found.0 == leaf.0;
            let (found, path) = (found.0.into(), digests(&path));
            let checked = sigstore_merkle::verify_inclusion_proof(&found, index, size, &path, &root.0.into());
            (is_theirs && checked.is_ok()).then_some(())
        };
        verdicts.insert(("sigstore-merkle", "tiles"), known && (0..size).all(|index| led_up(index).is_some()));

        let new_root = RootHash::<Sha256>::new(root.0.into(), size);
        let ct = |hashes: &[Hash]| hashes.iter().map(|h| h.0.into()).collect::<Vec<_>>();
        let proof = InclusionProof::from_digests(&ct(&self.inclusion));
        verdicts.insert(
            ("ct-merkle", "inclusion"),
            known && new_root.verify_inclusion(&self.entry, self.index, &proof).is_ok(),
        );
        let proof = ConsistencyProof::from_digests(&ct(&self.consistency));
        let grew = new_root.verify_consistency(&RootHash::new(old_root.0.into(), old_size), &proof);
        verdicts.insert(("ct-merkle", "consistency"), known && grew.is_ok());
        verdicts.insert(("ct-merkle", "entries"), known && self.root_of_entries(size) == Some(root));
        verdicts
    }

    /// Every leaf hash as its tile has it, led up to the signed root by a proof made from the tiles. Proofs, because with few tiles at
    /// the right edge `TileHashReader` (here as in Go) hands out hashes of full tiles that it has not authenticated.
    fn tiles_by_crate(&self, size: u64, root: Hash, leaf: tlog_tiles::Hash) -> bool {
        use tlog_tiles::HashReader as _;
        let root = tlog_tiles::Hash(root.0);
        let reader = tlog_tiles::TileHashReader::new(size, root, self);
        (0..size).all(|n| {
            let found = reader.read_hashes(&[tlog_tiles::stored_hash_index(0, n)]);
            let proof = tlog_tiles::prove_record(size, n, &reader);
            let (Ok(found), Ok(proof)) = (found, proof) else { return false };
            let is_theirs = n != self.index || found[0].0 == leaf.0;
            is_theirs && tlog_tiles::check_record(&proof, size, root, n, found[0]).is_ok()
        })
    }

    /// The root that `ct-merkle` makes of all entries.
    fn root_of_entries(&self, size: u64) -> Option<Hash> {
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for index in 0..size.div_ceil(256) {
            let bundle = BundleId::at_size(index, size)?;
            for entry in tile::decode_bundle(self.tiles.get(&bundle.to_string())?, bundle.width).ok()? {
                tree.push(entry.to_vec());
            }
        }
        Some(Hash(tree.root().as_bytes()[..].try_into().ok()?))
    }

    fn tile_mut(&mut self, path: &str) -> &mut Vec<u8> {
        let path = self.tiles.keys().find(|key| key.starts_with(path)).expect("the log has this tile").clone();
        self.tiles.get_mut(&path).expect("it was just found")
    }
}

impl tlog_tiles::TileReader for Exhibit {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            self.tiles.get(&path).cloned().ok_or(tlog_tiles::Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// The nodes that hash tiles hold, true or not.
struct Tiles<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    tree_size: u64,
}

impl tlog::proof::NodeReader for Tiles<'_> {
    type Error = String;

    fn node(&self, level: u8, index: u64) -> Result<Hash, String> {
        let location = tile::locate(level, index);
        let id =
            tile::TileId::at_size(location.tile_level, location.tile_index, self.tree_size).ok_or("beyond the tree")?;
        let bytes = self.files.get(&id.to_string()).ok_or_else(|| format!("{id} is missing"))?;
        let hashes = tile::decode_hashes(bytes, id.width).map_err(|error| error.to_string())?;
        tile::node(&hashes, &location).map_err(|error| error.to_string())
    }
}

fn collect(root: &Path, at: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(at).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below it").to_str().expect("UTF-8").to_owned();
            files.insert(name, fs::read(&path).expect("read"));
        }
    }
}

/// Every way to tamper that some aspect must notice, with that aspect.
fn tampered(honest: &Exhibit) -> Vec<(&'static str, &'static str, Exhibit)> {
    let mut all = Vec::new();
    let mut add = |what, aspect, change: &dyn Fn(&mut Exhibit)| {
        let mut one = honest.clone();
        change(&mut one);
        all.push((what, aspect, one));
    };
    let flip = |text: &mut String, at: usize| {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        *text = String::from_utf8(bytes).expect("ASCII for ASCII");
    };
    let line = |text: &str, number: usize| text.split_inclusive('\n').take(number).map(str::len).sum::<usize>();
    add("the root", "checkpoint", &|e| flip(&mut e.checkpoint, line(&honest.checkpoint, 2) + 5));
    add("the size", "checkpoint", &|e| e.checkpoint = e.checkpoint.replacen('\n', "\n1", 1));
    add("the origin", "checkpoint", &|e| flip(&mut e.checkpoint, 1));
    add("the signature", "checkpoint", &|e| flip(&mut e.checkpoint, honest.checkpoint.len() - 20));
    add("another key", "checkpoint", &|e| {
        let name = e.vkey.split('+').next().expect("a name").to_owned();
        e.vkey = tlog::note::SignerKey::from_seed(&name, &[9; 32]).expect("a key").verifier().to_string();
    });
    add("a hash of the path", "inclusion", &|e| e.inclusion[0].0[7] ^= 1);
    add("the last hash of the path", "inclusion", &|e| e.inclusion.last_mut().expect("a path").0[31] ^= 0x80);
    add("a shorter path", "inclusion", &|e| e.inclusion.truncate(honest.inclusion.len() - 1));
    add("a longer path", "inclusion", &|e| e.inclusion.push(Hash([0; 32])));
    add("a bit of the entry", "inclusion", &|e| e.entry[60] ^= 4);
    add("another place", "inclusion", &|e| e.index -= 1);
    add("a hash of the growth", "consistency", &|e| e.consistency[0].0[0] ^= 1);
    add("a shorter growth", "consistency", &|e| e.consistency.truncate(honest.consistency.len() - 1));
    add("another past", "consistency", &|e| e.old.1.0[9] ^= 2);
    add("a leaf hash", "tiles", &|e| e.tile_mut("tile/0/000")[100] ^= 1);
    add("the last leaf hash", "tiles", &|e| *e.tile_mut("tile/0/001").last_mut().expect("hashes") ^= 1);
    add("a bit of some entry", "entries", &|e| e.tile_mut("tile/entries/000")[4_000] ^= 1);
    add("a cut tile", "tiles", &|e| e.tile_mut("tile/0/000").truncate(32));
    all
}

#[test]
fn outsiders_accept_what_a_live_server_publishes_and_refuse_it_tampered() {
    let trail = Trail::new();
    let server = trail.serve();
    let token = server.token();
    let first = send(&server, &token, 40);
    assert_eq!(first, 40);
    let bearer = format!("Authorization: Bearer {token}");
    let (_, old) = curl(&[&format!("{}/l/{}/checkpoint", server.url(), trail.log_id()), "-H", &bearer]);
    send(&server, &token, 300);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let honest = Exhibit::of(&server, &trail, &token, &old, &folder.path().join("export"));

    let mut exhibits = vec![("nothing", "", honest.clone())];
    exhibits.extend(tampered(&honest));
    let folders: Vec<PathBuf> = (0..exhibits.len()).map(|at| folder.path().join(at.to_string())).collect();
    let mut verdicts: Vec<Verdicts> = Vec::new();
    for ((_, _, exhibit), folder) in exhibits.iter().zip(&folders) {
        exhibit.write(folder);
        verdicts.push(exhibit.by_crates());
    }
    let mut outsiders = 3;
    for (outsider, said) in [("go", by_go(folder.path(), &folders)), ("npm", by_npm(&folders))] {
        let Some(said) = said else { continue };
        outsiders += 1;
        for line in said.lines() {
            let [at, aspect, verdict] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let aspect = ASPECTS.into_iter().find(|known| *known == aspect).expect("a known aspect");
            verdicts[at.parse::<usize>().expect("a number")].insert((outsider, aspect), verdict == "accepted");
        }
    }
    assert!(outsiders >= 3);
    for ((what, aspect, _), verdicts) in exhibits.iter().zip(&verdicts) {
        for ((outsider, about), accepted) in verdicts {
            if aspect.is_empty() {
                assert!(accepted, "{outsider} refuses the honest {about}");
            } else if about == aspect {
                assert!(!accepted, "{outsider} accepts {what} tampered with, in {about}");
            }
        }
    }
    for aspect in ASPECTS {
        let known = verdicts[0].keys().filter(|(_, about)| *about == aspect).count();
        eprintln!("{aspect}: {known} outsiders");
        let wanted = match aspect {
            "entries" => 1,
            _ => 3,
        };
        assert!(outsiders < 5 || known >= wanted, "{aspect}");
    }
}

/// Sends events in one batch; how many were taken.
fn send(server: &Server, token: &str, count: usize) -> usize {
    let events: String = (0..count).map(|n| format!("{{\"action\":\"doc.read\",\"actor\":\"a{n}\"}}\n")).collect();
    let url = format!("{}/v1/orgs/Acme/events", server.url());
    let agent = ureq::Agent::new_with_defaults();
    let sent = agent
        .post(&url)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-ndjson");
    let mut reply = sent.send(events.as_str()).expect("the batch is taken");
    let reply = json(&reply.body_mut().read_to_string().expect("text"));
    reply["receipts"].as_array().or_else(|| reply["results"].as_array()).expect("receipts").len()
}

/// Whether a tool may be skipped; says so.
fn skipped(what: &str) -> Option<String> {
    assert!(
        std::env::var_os("COUNTERFOIL_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "{what}, and COUNTERFOIL_REQUIRE_TOOLS=1 forbids to skip; run scripts/install-test-tools.sh"
    );
    eprintln!("SKIPPED: {what}; run scripts/install-test-tools.sh");
    None
}

fn by_go(folder: &Path, exhibits: &[PathBuf]) -> Option<String> {
    let source = "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog";
    if Command::new("go").arg("version").output().is_err() || !Path::new(source).is_dir() {
        return skipped("Go or golang-golang-x-mod-dev is not installed");
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outsiders/check.go");
    let binary = folder.join("check-go");
    let mut build = Command::new("go");
    // Debian's way: packages in the GOPATH, no modules, no network.
    build
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOFLAGS", "")
        .env("GOCACHE", folder.join("go-cache"));
    build.args(["build", "-o"]).arg(&binary).arg(program);
    stdout_of(&build.output().expect("go runs"));
    Some(stdout_of(&Command::new(binary).args(exhibits).output().expect("it runs")))
}

fn by_npm(exhibits: &[PathBuf]) -> Option<String> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/npm/node_modules");
    if !modules.join("@sigstore/verify").is_dir() {
        return skipped("@sigstore/verify is not in .tools/npm");
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outsiders/check.cjs");
    Some(stdout_of(&Command::new("node").arg(program).arg(modules).args(exhibits).output().expect("node runs")))
}
