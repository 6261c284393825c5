import os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { BenchRow } from '../bench-rows.js';
import { defineCommand, type Values } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { choices, json, required, text } from '../flags.js';
import type { Terminal } from '../terminal.js';

const kinds = ['gemm', 'attention', 'prefill', 'decode', 'matrix', 'load'] as const;
const flags = {
  model: text('The model of prefill, decode, matrix and load. Default: the default model.', 'M'),
  ...engineFlags,
  json,
} as const;

export const bench = defineCommand({
  name: 'bench',
  summary: 'Measure kernels (gemm, attention) and the engine (prefill, decode, matrix, load) on this machine.',
  positionals: { what: required(choices('What to measure.', kinds)) },
  required: 1,
  flags,
  examples: [
    ['$0 bench gemm,attention', 'every instruction set of this machine'],
    ['$0 bench matrix', 'what twelve settings of one sample cost, in dense runs'],
  ],
  async run(values, terminal) {
    // Before the first row: after Ctrl-C nothing can be compiled any more.
    const { alignColumns } = await import('../columns.js');
    const rows: BenchRow[] = [];
    for await (const row of measure(values.what, values, terminal)) {
      // Kernels block this thread; signals are only delivered between turns of the event loop.
      await setImmediate();
      terminal.signal.throwIfAborted();
      rows.push(row);
      terminal.note(lineOf(row));
    }
    if (values.json) terminal.printJson(rows);
    else terminal.print(alignColumns([['name', 'isa', 'shape', 'ms', 'rate'], ...rows.map(columnsOf)]));
    return 0;
  },
});

async function* measure(
  what: readonly (typeof kinds)[number][],
  values: Values<typeof flags>,
  terminal: Terminal,
): AsyncGenerator<BenchRow> {
  const threads = values.threads ?? os.availableParallelism();
  const kernels = what.filter((kind) => kind === 'gemm' || kind === 'attention');
  if (kernels.length > 0) {
    const { benchAttention, benchGemm } = await import('../bench-kernels.js');
    for (const kind of kernels) yield* kind === 'gemm' ? benchGemm(threads) : benchAttention(threads);
  }
  const whole = what.filter((kind) => kind !== 'gemm' && kind !== 'attention');
  if (whole.length === 0) return;
  const [{ openModel }, engineBenches] = await Promise.all([import('../open-model.js'), import('../bench-engine.js')]);
  const { engine } = await openModel(values, terminal);
  try {
    const reopen = async () => (await openModel(values, terminal)).engine;
    const { benchDecode, benchLoad, benchMatrix, benchPrefill } = engineBenches;
    const runs = { prefill: benchPrefill, decode: benchDecode, matrix: benchMatrix, load: benchLoad };
    for (const kind of whole) yield* runs[kind]({ engine, reopen, signal: terminal.signal });
  } finally {
    await engine.close();
  }
}

const columnsOf = ({ name, isa, shape, oursMs, rate }: BenchRow): string[] => [
  name,
  isa,
  shape,
  oursMs.toPrecision(3),
  `${rate.value.toPrecision(3)} ${rate.unit}`,
];

const lineOf = (row: BenchRow): string => columnsOf(row).join('  ');
