// Checks exhibits of a log with golang.org/x/mod/sumdb alone: one line per folder and aspect, "accepted" or "refused".
//
// Each argument is a folder: vkey, checkpoint, index, entry, inclusion, old, consistency, tile/...
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func read(folder, name string) string {
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		panic(err)
	}
	return string(data)
}

func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func hashes(text string) (out []tlog.Hash, err error) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line == "" {
			continue
		}
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		out = append(out, hash)
	}
	return out, nil
}

// The signed head; an error unless the note is signed by the key and is a checkpoint of its origin.
func head(folder string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(read(folder, "vkey")))
	if err != nil {
		return tree, err
	}
	opened, err := note.Open([]byte(read(folder, "checkpoint")), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// Tiles in the layout of c2sp.org/tlog-tiles.
type tiles struct{ folder string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		bytes, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil {
			return nil, err
		}
		data = append(data, bytes)
	}
	return data, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func inclusion(folder string, tree tlog.Tree) error {
	proof, err := hashes(read(folder, "inclusion"))
	if err != nil {
		return err
	}
	leaf := tlog.RecordHash([]byte(read(folder, "entry")))
	return tlog.CheckRecord(proof, tree.N, tree.Hash, number(read(folder, "index")), leaf)
}

func consistency(folder string, tree tlog.Tree) error {
	proof, err := hashes(read(folder, "consistency"))
	if err != nil {
		return err
	}
	lines := strings.Split(read(folder, "old"), "\n")
	root, err := tlog.ParseHash(lines[1])
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, number(lines[0]), root)
}

// Every leaf hash as its tile has it, led up to the signed root by a proof made from the tiles. The proofs are checked one by one:
// with few tiles at the right edge, TileHashReader (as of 0.7.0) hands out hashes of full tiles that it has not authenticated.
func whole(folder string, tree tlog.Tree) error {
	reader := tlog.TileHashReader(tree, tiles{folder})
	for n := int64(0); n < tree.N; n++ {
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaf[0]); err != nil {
			return err
		}
		if n == number(read(folder, "index")) && leaf[0] != tlog.RecordHash([]byte(read(folder, "entry"))) {
			return fmt.Errorf("another leaf")
		}
	}
	return nil
}

func main() {
	for _, folder := range os.Args[1:] {
		tree, err := head(folder)
		say := func(aspect string, err error) {
			verdict := "accepted"
			if err != nil {
				verdict = "refused"
			}
			fmt.Println(filepath.Base(folder), aspect, verdict)
		}
		say("checkpoint", err)
		// Whoever does not know the head knows nothing.
		check := func(aspect string, with func(string, tlog.Tree) error) {
			if err != nil {
				say(aspect, err)
				return
			}
			say(aspect, with(folder, tree))
		}
		check("inclusion", inclusion)
		check("consistency", consistency)
		check("tiles", whole)
	}
}
