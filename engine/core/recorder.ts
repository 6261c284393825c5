import type { Addon } from '../../native/addon-types.js';

/** Ops that a program of `Addon.replay` may hold, in the order of their codes (kReplayedOps in native/binding/call.h). */
const replayedOps = [
  'embed',
  'rmsNorm',
  'rmsNormAdd',
  'linear',
  'linearGated',
  'gatedActivation',
  'ropeAppend',
  'copyRows',
  'attendDecode',
  'softCap',
] as const;

/** The ops of a decode step. */
export type StepOps = Pick<Addon, (typeof replayedOps)[number]>;

/** Collects calls and makes them together: a step of one row has two hundred, and a crossing costs a fifth of a small one. */
export interface Recorder {
  /** Calls are noted; what they change is there after `flush`. */
  readonly ops: StepOps;
  flush(): void;
  /** Before a pass: forgets what one that threw had noted, and lists, which must not change while a pass makes its calls. */
  clear(): void;
}

export const createRecorder = (replay: NonNullable<Addon['replay']>): Recorder => {
  let program = new Float64Array(4096);
  let lists = new Int32Array(1024);
  let length = 0;
  let listsLength = 0;
  const places = new Map<Int32Array, number>();

  const placeOf = (list: Int32Array): number => {
    const known = places.get(list);
    if (known !== undefined) return known;
    if (listsLength + list.length + 1 > lists.length) {
      const larger = new Int32Array(2 * (listsLength + list.length + 1));
      larger.set(lists);
      lists = larger;
    }
    const place = listsLength;
    lists[place] = list.length;
    lists.set(list, place + 1);
    listsLength += list.length + 1;
    places.set(list, place);
    return place;
  };

  const clear = (): void => {
    length = 0;
    listsLength = 0;
    places.clear();
  };

  const note =
    (code: number) =>
    (...args: readonly (number | Int32Array)[]): void => {
      if (length + args.length + 2 > program.length) {
        const larger = new Float64Array(2 * program.length);
        larger.set(program);
        program = larger;
      }
      program[length++] = code;
      program[length++] = args.length;
      for (const arg of args) program[length++] = typeof arg === 'number' ? arg : placeOf(arg);
    };

  return {
    ops: Object.fromEntries(replayedOps.map((op, code) => [op, note(code)])) as unknown as StepOps,
    flush() {
      if (length === 0) return;
      try {
        replay(program, length, lists);
      } finally {
        length = 0;
      }
    },
    clear,
  };
};
