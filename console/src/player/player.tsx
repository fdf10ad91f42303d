// The player: screen, timeline, speed, idle skipping, scroll-back, and the end of a recording that still grows. It asks for stretches and
// knows nothing of where they come from.

import { useEffect, useRef, useState } from "preact/hooks";

import { clock, Failed, Waiting } from "../parts/basics.tsx";
import { Driver, type Stretch } from "./driver.ts";
import { draw } from "./screen.ts";
import { makeTerminal } from "./terminal.ts";

const SPEEDS = [0.5, 1, 2, 4, 8, 16];
/** A pause longer than this is cut to it when pauses are skipped, in microseconds. */
const IDLE_MAX = 1e6;
const JUMP = 5e6;
/** How often a recording that grows is asked for what is new, and how often after a failure, in milliseconds. */
const LOOK_EVERY = 1000;
const LOOK_LATER = 5000;

/** A moment worth going to. */
export interface Mark {
  at: number;
  text: string;
  kind: "command" | "hit" | "title";
}

/** How far a recording is. */
export interface Standing {
  active: boolean;
  bytes: number;
}

export function Player({ fetch, start, marks, marked, onMoment, live, onOver }: {
  fetch: (at: number) => Promise<Stretch>;
  /** Microseconds at which to begin. */
  start: number;
  marks: Mark[];
  /** Rows that show one of these texts are marked. */
  marked: string[];
  /** Told where the player stands, when it comes to rest. */
  onMoment: (at: number) => void;
  /** Tells how far the recording is; given while it is still being made. */
  live?: (() => Promise<Standing>) | undefined;
  /** Told when it is not made any more. */
  onOver?: (() => void) | undefined;
}) {
  const box = useRef<HTMLDivElement>(null);
  const driver = useRef<Driver | null>(null);
  const [ready, setReady] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const [skipIdle, setSkipIdle] = useState(true);
  const [at, setAt] = useState(start);
  const [back, setBack] = useState(0);
  const [typed, setTyped] = useState("");
  const [duration, setDuration] = useState(0);
  const [title, setTitle] = useState("");
  const [following, setFollowing] = useState(live !== undefined && start <= 0);
  const [unheard, setUnheard] = useState("");
  const busy = useRef(false);
  const wanted = useRef<number | null>(null);

  const show = (scroll = 0) => {
    const terminal = driver.current?.terminal;
    if (terminal && box.current) draw(terminal, box.current, scroll, marked);
    setTitle(driver.current?.title ?? "");
  };
  /** Seeks are done one after another; of those asked for meanwhile only the last. */
  const seek = async (to: number) => {
    wanted.current = Math.max(0, to);
    if (busy.current) return;
    busy.current = true;
    try {
      while (wanted.current !== null && driver.current) {
        const next: number = wanted.current;
        wanted.current = null;
        await driver.current.seek(next);
        setDuration(driver.current.stretch?.duration_us ?? 0);
        setAt(next);
      }
      setBack(0);
      show();
      setReady(true);
      setError(null);
    } catch (failed) {
      setError(failed instanceof Error ? failed : new Error(String(failed)));
      setPlaying(false);
    }
    busy.current = false;
  };
  useEffect(() => {
    const made = new Driver(fetch, makeTerminal);
    made.onInput = (text) => setTyped((before) => (before + shownKeys(text)).slice(-60));
    driver.current = made;
    setReady(false);
    void seek(start);
    return () => {
      driver.current = null;
    };
  }, [fetch]);
  useEffect(() => {
    if (ready) void seek(start);
  }, [start]);
  const followed = useRef(following);
  followed.current = following;
  useEffect(() => {
    if (!live || !ready) return;
    let isGone = false;
    let seen = -1;
    let timer = 0;
    const look = async () => {
      let wait = LOOK_EVERY;
      try {
        const { active, bytes } = await live();
        if (isGone) return;
        if ((bytes !== seen || !active) && driver.current) {
          // What was told of the end may be told otherwise when it is the end for good.
          const end = await driver.current.grown(!active);
          if (isGone) return;
          seen = end.bytes ?? bytes;
          setDuration(end.duration_us);
          if (followed.current) void seek(end.duration_us);
        }
        setUnheard("");
        if (!active) return onOver?.();
      } catch (failed) {
        if (isGone) return;
        setUnheard(failed instanceof Error ? failed.message : String(failed));
        wait = LOOK_LATER;
      }
      timer = window.setTimeout(() => void look(), wait);
    };
    void look();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [live, ready]);
  useEffect(() => show(back), [back, marked.join("\n"), ready]);
  useEffect(() => {
    if (!playing) return;
    let last = performance.now();
    let now = at >= duration ? 0 : at;
    let frame = 0;
    const tick = (time: number) => {
      now += (time - last) * 1000 * speed;
      last = time;
      const next = driver.current?.nextEvent;
      if (skipIdle && next !== null && next !== undefined && next - now > IDLE_MAX * speed) now = next - IDLE_MAX * speed;
      if (duration > 0 && now >= duration) {
        void seek(duration);
        setPlaying(false);
        if (live) setFollowing(true);
        else onMoment(duration);
        return;
      }
      void seek(now);
      frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, skipIdle, duration, live]);

  const jump = (to: number) => {
    const place = Math.min(Math.max(0, to), duration);
    setFollowing(false);
    void seek(place);
    onMoment(place);
  };
  const play = () => {
    // Whoever follows the end plays what came before it.
    setFollowing(false);
    setPlaying(!playing);
  };
  const follow = () => {
    setPlaying(false);
    setFollowing(!following);
    if (!following) void seek(duration);
  };
  const scrollable = driver.current?.terminal?.buffer.active.baseY ?? 0;
  return (
    <section
      class="player"
      aria-label="Player"
      tabIndex={0}
      data-at={Math.floor(at)}
      data-ready={ready}
      data-following={live ? following : undefined}
      onKeyDown={(event) => {
        if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
        const keys: Record<string, () => void> = {
          " ": play,
          k: play,
          ...(live ? { f: follow } : {}),
          ArrowLeft: () => jump(at - JUMP),
          ArrowRight: () => jump(at + JUMP),
          Home: () => jump(0),
          End: () => jump(duration),
          PageUp: () => setBack(Math.min(scrollable, back + 10)),
          PageDown: () => setBack(Math.max(0, back - 10)),
          "+": () => setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, SPEEDS.indexOf(speed) + 1)] ?? speed),
          "-": () => setSpeed(SPEEDS[Math.max(0, SPEEDS.indexOf(speed) - 1)] ?? speed),
        };
        const act = keys[event.key];
        if (act && !(event.target instanceof HTMLButtonElement && event.key === " ")) {
          event.preventDefault();
          act();
        }
      }}
    >
      {error && <Failed error={error} again={() => void seek(at)} />}
      {!ready && !error && <Waiting what="the recording" />}
      <div class="terminal-title">{title || "\u00a0"}</div>
      <div class="terminal-scroll" tabIndex={0} role="region" aria-label="What was on the screen" onWheel={(event) => {
        if (scrollable === 0) return;
        const next = Math.min(scrollable, Math.max(0, back - Math.sign(event.deltaY) * 3));
        if (next !== back) {
          event.preventDefault();
          setBack(next);
        }
      }}>
        <div class="terminal" ref={box} role="img" aria-label={`Terminal at ${clock(at)}`} data-testid="terminal" />
      </div>
      {back > 0 && <p class="quiet">Scrolled back {back} lines. <button type="button" onClick={() => setBack(0)}>To the newest</button></p>}
      {live && (
        <p class="live-line" role="status">
          <span class="tag first live">recording</span>{" "}
          {unheard ? <span class="bad-text">Not heard of it: {unheard}. It is asked again.</span>
            : following ? (duration === 0 ? "Nothing was on the screen yet." : "At its end, and stays there as it grows.")
            : "Not at its end: it goes on without you. Follow leads back."}
        </p>
      )}
      <div class="timeline">
        <input
          type="range"
          min={0}
          max={Math.max(duration, 1)}
          step={1000}
          value={at}
          aria-label="Moment"
          aria-valuetext={`${clock(at)} of ${clock(duration)}`}
          onInput={(event) => {
            const to = Number(event.currentTarget.value);
            setFollowing(false);
            // At once: until then the slider would be put back to where it was.
            setAt(to);
            void seek(to);
          }}
          onChange={(event) => onMoment(Number(event.currentTarget.value))}
        />
        <svg class="marks" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
          {duration > 0 && marks.map((mark) => <rect key={`${mark.kind}${mark.at}`} class={mark.kind} x={(mark.at / duration) * 1000 - 1} width={2} height={10} />)}
        </svg>
      </div>
      <div class="toolbar">
        <button type="button" class="primary" onClick={play}>{playing ? "Pause" : "Play"}</button>
        {live && <button type="button" aria-pressed={following} title="Stay at the end while the recording grows (F)" onClick={follow}>Follow</button>}
        <span class="count">{clock(at)} / {clock(duration)}</span>
        <label>Speed <select value={speed} onChange={(event) => setSpeed(Number(event.currentTarget.value))}>{SPEEDS.map((one) => <option key={one} value={one}>{one}×</option>)}</select></label>
        <label><input type="checkbox" checked={skipIdle} onChange={(event) => setSkipIdle(event.currentTarget.checked)} /> skip pauses</label>
        {typed && <span class="typed" title="What the user typed">⌨ {typed}</span>}
      </div>
    </section>
  );
}

/** Keys that print nothing, as they are written on keyboards. */
function shownKeys(text: string): string {
  let shown = "";
  for (const character of text) {
    if (character === "\r" || character === "\n") shown += "⏎";
    else if (character === "\u007f" || character === "\b") shown += "⌫";
    else if (character === "\t") shown += "⇥";
    else if (character === "\u001b") shown += "⎋";
    else if (character < " ") shown += `^${String.fromCharCode(character.charCodeAt(0) + 64)}`;
    else shown += character;
  }
  return shown;
}

