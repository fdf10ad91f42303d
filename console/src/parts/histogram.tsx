// Events over time, stacked by outcome; a stretch is chosen by dragging, or by keyboard: arrows move, Shift extends, Enter chooses.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { EventSummary } from "../api/client.ts";
import { number, stamp } from "./basics.tsx";

const WIDTH = 1000;
const STACK = ["failure", "unknown", "success"] as const;
const BUCKETS_MAX = 400;

interface Bar {
  from: number;
  total: number;
  parts: Record<(typeof STACK)[number], number>;
}

/** Bars side by side, those in which nothing happened too. */
function bars(summary: EventSummary): Bar[] {
  const step = summary.bucket_seconds * 1000;
  const first = summary.buckets[0];
  const last = summary.buckets.at(-1);
  if (!first || !last || step <= 0) return [];
  const found = new Map(summary.buckets.map((bucket) => [Date.parse(bucket.at), bucket]));
  const out: Bar[] = [];
  for (let from = Date.parse(first.at); from <= Date.parse(last.at) && out.length < BUCKETS_MAX; from += step) {
    const bucket = found.get(from);
    const { success = 0, failure = 0 } = bucket?.outcomes ?? {};
    const total = bucket?.total ?? 0;
    out.push({ from, total, parts: { success, failure, unknown: Math.max(0, total - success - failure) } });
  }
  return out;
}


export function Histogram({ summary, onChoose, height = 110 }: {
  summary: EventSummary;
  /** A stretch was chosen: from, inclusive, to, exclusive. */
  onChoose: (from: Date, to: Date) => void;
  height?: number;
}) {
  const all = useMemo(() => bars(summary), [summary]);
  const step = summary.bucket_seconds * 1000;
  const box = useRef<SVGSVGElement>(null);
  const [range, setRange] = useState<[number, number] | null>(null);
  const [dragging, setDragging] = useState(false);
  useEffect(() => setRange(null), [summary]);
  if (all.length === 0) return <p class="state quiet">Nothing in this time.</p>;

  const highest = Math.max(1, ...all.map((bar) => bar.total));
  const width = WIDTH / all.length;
  const at = (event: PointerEvent): number => {
    const rect = box.current?.getBoundingClientRect();
    const place = rect && rect.width > 0 ? (event.clientX - rect.left) / rect.width : 0;
    return Math.min(all.length - 1, Math.max(0, Math.floor(place * all.length)));
  };
  const ordered = range && ([Math.min(...range), Math.max(...range)] as const);
  const choose = () => {
    if (!ordered) return;
    const [first, last] = [all[ordered[0]], all[ordered[1]]];
    if (first && last) onChoose(new Date(first.from), new Date(last.from + step));
  };
  const label = (index: number): string => {
    const bar = all[index];
    if (!bar) return "";
    const { failure, success } = bar.parts;
    return `${stamp(bar.from).slice(0, 16)}: ${number(bar.total)} events, ${number(success)} successful, ${number(failure)} failed`;
  };
  const last = all.at(-1);
  return (
    <figure class="histogram">
      <svg
        ref={box}
        viewBox={`0 0 ${WIDTH} ${height}`}
        height={height}
        preserveAspectRatio="none"
        role="slider"
        tabindex={0}
        aria-label="Events over time. Arrow keys move, Shift with arrow keys extends, Enter narrows the time."
        aria-valuemin={0}
        aria-valuemax={all.length - 1}
        aria-valuenow={range?.[1] ?? 0}
        aria-valuetext={label(range?.[1] ?? 0)}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const index = at(event);
          setRange([index, index]);
          setDragging(true);
        }}
        onPointerMove={(event) => dragging && range && setRange([range[0], at(event)])}
        onPointerUp={() => {
          setDragging(false);
          choose();
        }}
        onKeyDown={(event) => {
          const moves: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, Home: -all.length, End: all.length };
          const move = moves[event.key];
          if (move !== undefined) {
            event.preventDefault();
            const end = Math.min(all.length - 1, Math.max(0, (range?.[1] ?? 0) + (range ? move : 0)));
            setRange([event.shiftKey && range ? range[0] : end, end]);
          } else if (event.key === "Enter") choose();
          else if (event.key === "Escape") setRange(null);
        }}
      >
        {all.map((bar, index) => {
          let top = height;
          return (
            <g key={bar.from}>
              <title>{label(index)}</title>
              <rect class="hit" x={index * width} y={0} width={width} height={height} />
              {STACK.map((part) => {
                const tall = (bar.parts[part] / highest) * (height - 4);
                top -= tall;
                return tall > 0 && <rect key={part} class={`bar ${part}`} x={index * width + width * 0.08} y={top} width={width * 0.84} height={Math.max(tall, 1)} />;
              })}
            </g>
          );
        })}
        {ordered && <rect class="brush" x={ordered[0] * width} y={0} width={(ordered[1] - ordered[0] + 1) * width} height={height} />}
      </svg>
      <figcaption>
        <span>{stamp(all[0]?.from ?? 0).slice(0, 16)}</span>
        <span class="legend">
          <span class="outcome failure"><span aria-hidden="true">▲</span> failure</span>
          <span class="outcome success"><span aria-hidden="true">●</span> success</span>
          <span class="outcome unknown"><span aria-hidden="true">○</span> unknown</span>
          <span class="quiet">drag to narrow the time</span>
        </span>
        <span>{stamp((last?.from ?? 0) + step).slice(0, 16)}</span>
      </figcaption>
    </figure>
  );
}
