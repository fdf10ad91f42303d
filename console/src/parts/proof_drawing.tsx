// A proof, drawn: from the event's bytes up to the signed root, one row for each hash that was computed here.

import { toHex } from "../proof/bytes.ts";
import type { Proven } from "../proof/event.ts";
import { number } from "./basics.tsx";

const ROW = 46;
const short = (hash: Uint8Array): string => `${toHex(hash).slice(0, 12)}…`;

/** Boxes of our own hashes in the middle, the siblings that the proof gives at the side they come from. */
export function ProofDrawing({ proven }: { proven: Proven }) {
  const { steps, checkpoint } = proven;
  const rows = steps.length + 1;
  const height = rows * ROW + 12;
  const y = (row: number) => height - 34 - row * ROW;
  return (
    <figure class="proof-drawing">
      <svg viewBox={`0 0 560 ${height}`} role="img" aria-label={`${steps.length} steps from the leaf to the root, each computed in this browser`}>
        {steps.map((step, at) => {
          const left = step.from === "right";
          const x = left ? 20 : 390;
          const middle = y(at + 1) + 28;
          return (
            <g key={toHex(step.node)}>
              <path class="edge own" d={`M280 ${y(at)} V${middle}`} />
              <path class="edge" d={`M${left ? 170 : 390} ${y(at) + 14} H${left ? 205 : 355} L280 ${middle}`} />
              <rect class="sibling" x={x} y={y(at)} width={150} height={28} rx={4} />
              <text x={x + 75} y={y(at) + 18}>{short(step.sibling)}</text>
              <rect class={at === steps.length - 1 ? "own root" : "own"} x={205} y={y(at + 1)} width={150} height={28} rx={4} />
              <text class="strong" x={280} y={y(at + 1) + 18}>{short(step.node)}</text>
            </g>
          );
        })}
        <rect class="own leaf" x={205} y={y(0)} width={150} height={28} rx={4} />
        <text class="strong" x={280} y={y(0) + 18}>{short(proven.leaf)}</text>
      </svg>
      <figcaption>
        Bottom: the leaf of entry {number(proven.index)}. Sides: hashes of the proof. Top: the root over {number(checkpoint.size)} entries,
        signed by {checkpoint.signatures.map(({ key }) => key.name).join(" and ")}.
      </figcaption>
    </figure>
  );
}
