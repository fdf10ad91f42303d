// Recordings in asciicast version 2, played from a file: the whole of it is one stretch.

import { useCallback, useMemo } from "preact/hooks";

import type { Happened, Stretch } from "../player/driver.ts";
import { Player } from "../player/player.tsx";
import { fromUtf8, Refused } from "../proof/bytes.ts";

/** Whether a file looks like an asciicast. */
export const isRecording = (bytes: Uint8Array): boolean => bytes[0] === 0x7b && fromUtf8(bytes.slice(0, 20)).includes('"');

/** Reads an asciicast of version 2; says where it does not read. */
export function readRecording(bytes: Uint8Array): Stretch {
  const [head = "", ...lines] = fromUtf8(bytes).split("\n");
  const { version, width, height, title } = JSON.parse(head) as { version?: number; width?: number; height?: number; title?: string };
  if (version !== 2 || !width || !height) throw new Refused("only asciicast version 2 is played here; counterfoil play reads the others");
  const events: Happened[] = [];
  lines.forEach((line, at) => {
    if (line.trim() === "") return;
    try {
      const [time, code, data] = JSON.parse(line) as [number, string, string];
      if (code === "o" || code === "i" || code === "r" || code === "m") events.push([Math.round(time * 1e6), code, data]);
    } catch {
      throw new Refused(`line ${at + 2} of the recording does not read`);
    }
  });
  return {
    start_us: 0, columns: width, rows: height, title: title ?? null, terminal: "", events, next_us: null, duration_us: events.at(-1)?.[0] ?? 0, screens: 0,
  };
}

const NONE: string[] = [];

export function Replay({ recording }: { recording: Stretch }) {
  const fetch = useCallback(() => Promise.resolve(recording), [recording]);
  const marks = useMemo(() => [], []);
  return <Player fetch={fetch} start={0} marks={marks} marked={NONE} onMoment={() => {}} />;
}
