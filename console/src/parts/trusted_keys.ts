// Which keys of a log this browser believes: the one it met first, and those that provably followed it.

import { api, type Log } from "../api/client.ts";
import { recall } from "../proof/memory.ts";
import { parseKey, type VerifierKey } from "../proof/note.ts";
import { followKeys, type ListedKey } from "../proof/succession.ts";

/** The keys, the newest last. Refuses a log whose key does not follow from the one that was met first. */
export async function trustedKeys(log: Log): Promise<VerifierKey[]> {
  const known = recall(localStorage, log.origin);
  if (!known || known.vkey === log.vkey) return [parseKey(log.vkey)];
  const { keys } = await api.logJson<{ keys: ListedKey[] }>(log.path, "keys");
  return followKeys(known.vkey, keys, (file) => api.logText(log.path, file));
}
