// Checks exhibits of a log with @sigstore/verify alone: one line per folder and aspect, "accepted" or "refused".
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const base = path.join(process.argv[2], '@sigstore', 'verify', 'dist', 'tlog');
const { verifyCheckpoint } = require(path.join(base, 'checkpoint.js'));
const { verifyMerkleInclusion } = require(path.join(base, 'merkle.js'));

for (const folder of process.argv.slice(3)) {
  const read = (name) => fs.readFileSync(path.join(folder, name));
  const text = (name) => read(name).toString('utf8').trim();
  const say = (aspect, verdict) => console.log(path.basename(folder), aspect, verdict ? 'accepted' : 'refused');
  const [name, id, encoded] = splitKey(text('vkey'));
  const raw = Buffer.from(encoded, 'base64').subarray(1);
  const key = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
  const log = {
    logID: Buffer.from(id, 'hex'),
    baseURL: `https://${name}`,
    publicKey: crypto.createPublicKey({ key, format: 'jwk' }),
  };
  const lines = text('inclusion').split('\n').filter((line) => line !== '');
  const entry = {
    canonicalizedBody: read('entry'),
    inclusionProof: {
      logIndex: text('index'),
      hashes: lines.map((line) => Buffer.from(line, 'base64')),
      checkpoint: { envelope: read('checkpoint').toString('utf8') },
    },
  };
  let checkpoint;
  try {
    checkpoint = verifyCheckpoint(entry, [log]);
    say('checkpoint', true);
  } catch {
    say('checkpoint', false);
    say('inclusion', false);
    continue;
  }
  try {
    verifyMerkleInclusion(entry, checkpoint);
    say('inclusion', true);
  } catch {
    say('inclusion', false);
  }
}

// The base64 of a key may hold a plus itself.
function splitKey(vkey) {
  const [name, id, ...rest] = vkey.split('+');
  return [name, id, rest.join('+')];
}
