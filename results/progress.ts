import { durationText } from './numbers.js';

export interface ProgressOptions {
  /** stderr: stdout is for results. */
  readonly stream: { write(text: string): unknown };
  readonly isTty: boolean;
  /** Columns of the terminal. */
  readonly columns?: number;
  /** Work of the whole run in any unit that grows with time, for example prompt tokens. */
  readonly total: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

export interface Progress {
  /** The cells that come next share a task, a length and a protocol. */
  group(label: string): void;
  /** Work that an earlier start had done: counts as done, not for the estimate. */
  skip(work: number): void;
  advance(work: number): void;
  /** A line of its own that stays. */
  note(text: string): void;
  /** `isCut`: the last group was not finished, so no line may say so. */
  end(isCut?: boolean): void;
}

/**
 * Tells how far a run is and when it will end. On a terminal one line is drawn again and again, at most ten times a second; elsewhere one
 * line is written for each group of cells when it ends.
 */
export const createProgress = ({
  stream,
  isTty,
  columns = 80,
  total,
  now = () => performance.now(),
}: ProgressOptions): Progress => {
  const started = now();
  let label = '';
  let done = 0;
  let skipped = 0;
  let drawn = Number.NEGATIVE_INFINITY;
  let isOpen = false;

  const percent = (): number => (total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 100);
  const eta = (): string => {
    const ours = done - skipped;
    if (ours <= 0) return 'time left unknown';
    return `${durationText(((now() - started) / 1000 / ours) * Math.max(0, total - done))} left`;
  };
  const clear = (): void => {
    if (isTty && isOpen) stream.write('\r\u001b[K');
    isOpen = false;
  };
  const draw = (): void => {
    if (!isTty) return;
    const width = 20;
    const filled = Math.floor((width * percent()) / 100);
    const line = `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${String(percent()).padStart(3)} %  ${eta()}  ${label}`;
    stream.write(`\r\u001b[K${line.slice(0, Math.max(1, columns - 1))}`);
    isOpen = true;
    drawn = now();
  };
  const finishGroup = (): void => {
    if (!isTty && label !== '') stream.write(`${label}: done (${percent()} % of the run, ${eta()})\n`);
    label = '';
  };

  return {
    group(next) {
      finishGroup();
      label = next;
      draw();
    },
    skip(work) {
      done += work;
      skipped += work;
    },
    advance(work) {
      done += work;
      if (now() - drawn >= 100) draw();
    },
    note(text) {
      clear();
      stream.write(`${text}\n`);
      draw();
    },
    end(isCut = false) {
      if (!isCut) finishGroup();
      clear();
    },
  };
};
