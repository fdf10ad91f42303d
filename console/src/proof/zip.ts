// Zip files: written without compression, read with or without. Small and bounded; no archive beyond 4 GB.

import { fromUtf8, Refused, toUtf8, concat } from "./bytes.ts";

/** Most bytes that one archive may unpack to. */
export const UNPACKED_MAX = 512 << 20;
/** Most files in one archive. */
export const FILES_MAX = 200_000;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (CRC[(value ^ byte) & 255] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** The zip file of these files, in their order. */
export function writeZip(files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const local: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const path = toUtf8(name);
    const shared = new DataView(new ArrayBuffer(26));
    shared.setUint16(0, 20, true);
    shared.setUint16(2, 0x800, true);
    shared.setUint16(6, 0, true);
    // 1980-01-01: the same evidence is the same file.
    shared.setUint16(8, 0x21, true);
    shared.setUint32(10, crc32(bytes), true);
    shared.setUint32(14, bytes.length, true);
    shared.setUint32(18, bytes.length, true);
    shared.setUint16(22, path.length, true);
    const common = new Uint8Array(shared.buffer);
    local.push(Uint8Array.of(0x50, 0x4b, 3, 4), common, path, bytes);
    const place = new DataView(new ArrayBuffer(14));
    place.setUint32(10, offset, true);
    central.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), common, new Uint8Array(place.buffer), path);
    offset += 4 + 26 + path.length + bytes.length;
  }
  const directory = concat(...central);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.size, true);
  end.setUint16(10, files.size, true);
  end.setUint32(12, directory.length, true);
  end.setUint32(16, offset, true);
  return concat(...local, directory, new Uint8Array(end.buffer));
}

/** The files of a zip file, folders left out. */
export async function readZip(bytes: Uint8Array<ArrayBuffer>): Promise<Map<string, Uint8Array>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && end > bytes.length - 22 - 0xffff && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) throw new Refused("this is no zip file");
  const count = view.getUint16(end + 10, true);
  if (count > FILES_MAX) throw new Refused("the zip file holds too many files");
  let at = view.getUint32(end + 16, true);
  const files = new Map<string, Uint8Array>();
  let left = UNPACKED_MAX;
  for (let file = 0; file < count; file += 1) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50) throw new Refused("the zip file is damaged");
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    const packed = view.getUint32(at + 20, true);
    const length = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const offset = view.getUint32(at + 42, true);
    const name = fromUtf8(bytes.subarray(at + 46, at + 46 + nameLength));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (name.endsWith("/")) continue;
    left -= length;
    if (left < 0) throw new Refused("the zip file unpacks to too much");
    if (offset + 30 > bytes.length) throw new Refused("the zip file is damaged");
    const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
    const raw = bytes.slice(start, start + packed);
    let unpacked: Uint8Array = raw;
    if (method === 8) unpacked = await inflate(raw, length, name);
    else if (method !== 0) throw new Refused(`${name} is packed in a way that is not read here`);
    if (unpacked.length !== length || crc32(unpacked) !== crc) throw new Refused(`${name} is damaged inside the zip file`);
    if (files.has(name)) throw new Refused(`${name} is in the zip file twice`);
    files.set(name, unpacked);
  }
  return files;
}

async function inflate(raw: Uint8Array<ArrayBuffer>, length: number, name: string): Promise<Uint8Array> {
  const reader = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      // A file that unpacks to more than it says is a trap.
      if (total > length) throw new Refused(`${name} unpacks to more than it says`);
      parts.push(value);
    }
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(`${name} is damaged inside the zip file`);
  }
  return concat(...parts);
}
