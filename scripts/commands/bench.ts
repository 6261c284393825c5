import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { WinnowError } from '../../core/errors.js';
import { type BenchRow, benchColumns, benchHeads } from '../bench-rows.js';
import { defineCommand, type Values } from '../command.js';
import type { Trace } from '../cuda-traces.js';
import { engineFlags } from '../engine-flags.js';
import { choices, flag, json, required, text } from '../flags.js';
import type { PeerRowsName } from '../peers/rows.js';
import type { Terminal } from '../terminal.js';

const kinds = [
  'gemm',
  'attention',
  'kernels',
  'prefill',
  'decode',
  'matrix',
  'load',
  'suites',
  'site',
  'steps',
] as const;
const flags = {
  model: text('The model of prefill, decode, matrix, load and suites. Default: the default model.', 'M'),
  traces: text(
    'Of kernels: recorded lines of winnow_cuda_test, winnow_cuda_bench and sdpa.py as traces, correctness before time.',
    'FILE',
  ),
  out: text('Of kernels on cuda, or of traces: a chart beside PyTorch and the limits of the device (SVG).', 'FILE'),
  alone: flag('Leave out the rows beside peers that npm run bench:peers installed.'),
  ...engineFlags,
  json,
} as const;

export const bench = defineCommand({
  name: 'bench',
  summary:
    'Measure kernels (gemm, attention, and kernels for the primitives of methods), the engine (prefill, decode, matrix, load, and steps: what the host does in steps on a GPU), the generators of tasks (suites) and a large leaderboard (site) on this machine.',
  positionals: { what: required(choices('What to measure.', kinds)) },
  required: 1,
  flags,
  examples: [
    ['$0 bench gemm,attention', 'every instruction set of this machine'],
    ['$0 bench matrix', 'what twelve settings of one sample cost, in dense runs'],
    [
      '$0 bench kernels --backend cuda --json',
      "traces of the CUDA kernels: tests, then times, beside PyTorch's attention",
    ],
    ['$0 bench suites', 'how long one sample of 128k tokens takes to make, for every task'],
  ],
  async run(values, terminal) {
    // Before the first row: after Ctrl-C nothing can be compiled any more.
    const { alignColumns } = await import('../columns.js');
    if (values.what.includes('kernels') && (values.traces !== undefined || values.backend === 'cuda')) {
      const { benchCuda, traceTable } = await import('../cuda-bench.js');
      const traces = await benchCuda(values.traces, terminal);
      if (values.out !== undefined) await writeChart(traces, values.out);
      if (values.json) terminal.printJson(traces);
      else terminal.print(traceTable(traces));
      return 0;
    }
    if (values.out !== undefined)
      throw new WinnowError('ERR_USAGE', '--out', 'kernels with --backend cuda, or --traces', values.what.join(', '));
    const rows: BenchRow[] = [];
    for await (const row of measureAll(values.what, values, terminal)) {
      // Kernels block this thread; signals are only delivered between turns of the event loop.
      await setImmediate();
      terminal.signal.throwIfAborted();
      rows.push(row);
      terminal.note(benchColumns(row).join('  '));
    }
    if (values.json) terminal.printJson(rows);
    else terminal.print(alignColumns([benchHeads, ...rows.map(benchColumns)]));
    return 0;
  },
});

const writeChart = async (traces: readonly Trace[], out: string): Promise<void> => {
  const [{ renderChart }, { kernelTimes }, { writeFileAtomic }] = await Promise.all([
    import('../../results/render.js'),
    import('../../results/charts/kernel-times.js'),
    import('../../core/files.js'),
  ]);
  const times = traces.flatMap(({ workload, solution, performance }) => {
    if (performance === undefined) return [];
    const number = (key: string): number | undefined =>
      typeof performance[key] === 'number' ? performance[key] : undefined;
    const [ms, tflops, gbps, ofCopy] = ['ms', 'tflops', 'gbps', 'ofCopy'].map(number);
    return [{ workload, solution, ms: ms!, tflops, gbps, ofCopy }];
  });
  const spec = kernelTimes(times, traces[0]?.environment.device ?? 'unknown device');
  if (spec === undefined)
    throw new WinnowError(
      'ERR_RECORD',
      '--out',
      'times of attention kernels',
      'none that counts',
      'Run the whole benchmark.',
    );
  writeFileAtomic(path.resolve(out), (await renderChart(spec)).svg);
};

/** Our own rows, then those beside peers. */
async function* measureAll(
  what: readonly (typeof kinds)[number][],
  values: Values<typeof flags>,
  terminal: Terminal,
): AsyncGenerator<BenchRow> {
  yield* measure(what, values, terminal);
  yield* besidePeers(what, values, terminal);
}

async function* measure(
  what: readonly (typeof kinds)[number][],
  values: Values<typeof flags>,
  terminal: Terminal,
): AsyncGenerator<BenchRow> {
  const threads = values.threads ?? os.availableParallelism();
  const [{ benchAttention, benchGemm }, { benchCacheKernels }, { benchPlanKernels }] = await Promise.all([
    import('../bench-kernels.js'),
    import('../bench-cache-kernels.js'),
    import('../bench-plan-kernels.js'),
  ]);
  const ofKernels = { gemm: [benchGemm], attention: [benchAttention], kernels: [benchPlanKernels, benchCacheKernels] };
  const isKernel = (kind: (typeof kinds)[number]): kind is keyof typeof ofKernels => kind in ofKernels;
  for (const kind of what.filter(isKernel)) for (const table of ofKernels[kind]) yield* table(threads);
  if (what.includes('suites')) {
    const [{ findOrPullModel }, { benchSuites }] = await Promise.all([
      import('../open-model.js'),
      import('../bench-suites.js'),
    ]);
    const { path } = await findOrPullModel(values.model, terminal);
    yield* benchSuites(path);
  }
  if (what.includes('steps')) yield* (await import('../bench-steps.js')).benchSteps();
  if (what.includes('site')) yield* (await import('../bench-site.js')).benchSite(terminal.note);
  const whole = what.filter((kind) => kind !== 'suites' && kind !== 'site' && kind !== 'steps' && !isKernel(kind));
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

/** Rows of installed peers for each kind; ours alone are in the list already. */
const peerRowsOf = {
  gemm: ['gemm'],
  attention: ['attention'],
  kernels: [],
  prefill: ['prefill', 'reference'],
  decode: ['decode'],
  matrix: ['matrix'],
  load: ['load'],
  suites: [],
  site: [],
  steps: [],
} as const satisfies Record<(typeof kinds)[number], readonly PeerRowsName[]>;

/** Nothing when no peer is installed; npm run bench:peers installs them. */
async function* besidePeers(
  what: readonly (typeof kinds)[number][],
  values: Values<typeof flags>,
  terminal: Terminal,
): AsyncGenerator<BenchRow> {
  const { findPeers, peerNames } = await import('../peers/install.js');
  const peers = findPeers();
  // Peers have the default model's weights only.
  if (values.alone || values.model !== undefined || peerNames.every((name) => peers.absent[name] !== undefined)) return;
  const [{ openWorkbench }, { peerRows }, { findOrPullModel }] = await Promise.all([
    import('../peers/workbench.js'),
    import('../peers/rows.js'),
    import('../open-model.js'),
  ]);
  const { path } = await findOrPullModel(undefined, terminal);
  const bench = openWorkbench({
    modelPath: path,
    peers,
    threads: values.threads ?? os.availableParallelism(),
    isa: values.isa ?? 'auto',
    rounds: 9,
    signal: terminal.signal,
    note: terminal.note,
  });
  try {
    for (const name of what.flatMap((kind) => peerRowsOf[kind]))
      for await (const row of peerRows[name](bench)) if (row.peer !== null) yield row;
  } finally {
    bench.close();
  }
}
