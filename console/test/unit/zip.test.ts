// Zip files as foreign tools write and read them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { fromUtf8, toUtf8 } from "../../src/proof/bytes.ts";
import { readZip, writeZip } from "../../src/proof/zip.ts";

const FILES = new Map([
  ["checkpoint", toUtf8("a\n1\n")],
  ["tile/0/000.p/1", new Uint8Array(32).fill(7)],
  ["bodies/0", toUtf8("x".repeat(5000))],
  ["empty", new Uint8Array()],
]);

test("what_is_written_is_read_and_the_same_files_are_the_same_bytes", async () => {
  const zip = writeZip(FILES);
  assert.deepEqual(await readZip(zip), FILES);
  assert.deepEqual(writeZip(FILES), zip);
});

test("python_reads_what_we_write_and_we_read_what_python_packs", async () => {
  const folder = mkdtempSync(join(tmpdir(), "counterfoil-zip-"));
  try {
    const path = join(folder, "ours.zip");
    writeFileSync(path, writeZip(FILES));
    const names = execFileSync("python3", ["-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print('\\n'.join(z.namelist()))", path]);
    assert.deepEqual(fromUtf8(names).trim().split("\n"), [...FILES.keys()]);
    const theirs = join(folder, "theirs.zip");
    execFileSync("python3", ["-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED); z.writestr('bodies/0','x'*5000); z.writestr('a/','')", theirs]);
    const read = await readZip(new Uint8Array(readFileSync(theirs)));
    assert.deepEqual([...read.keys()], ["bodies/0"]);
    assert.equal(read.get("bodies/0")?.length, 5000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a_damaged_zip_file_is_refused", async () => {
  const zip = writeZip(FILES);
  await assert.rejects(readZip(zip.slice(0, -1)));
  await assert.rejects(readZip(new Uint8Array(10)));
  const changed = zip.slice();
  changed[40] = (changed[40] ?? 0) ^ 1;
  await assert.rejects(readZip(changed));
});
