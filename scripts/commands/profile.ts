import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { WinnowError } from '../../core/errors.js';
import type { PassProfile, Roof } from '../../engine/roofline.js';
import { defineCommand } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { choice, json, lengths, required, text, whole, wholes, words } from '../flags.js';

const DEFAULT_LENGTHS = [1024, 4096];

export const profile = defineCommand({
  name: 'profile',
  summary: 'Where the time of prefill and decode goes, or what a method finds out on calibration text.',
  positionals: { what: required(choice('time: ops and layers. heads: a profile by calibration.', ['time', 'heads'])) },
  required: 1,
  flags: {
    model: text('A model of the manifest, a GGUF file or a Hugging Face folder. Default: the default model.', 'M'),
    method: text('heads: a method that calibrates, by name or ./file.ts.', 'NAME'),
    textFile: words('heads: text to calibrate on, once a file. Default: generated prose that no suite uses.', 'FILE'),
    texts: whole('heads: how many texts are generated. Default: 8.', 'N', 1),
    seed: whole('heads: seed of the texts and of the calibration. Default: 0.', 'N', 0),
    length: lengths('Prompt lengths to prefill, and cache lengths to decode at. Default: 1k,4k.'),
    rows: wholes('Rows that decode together. Default: 1,16.', 'N', 1),
    out: text('time: a chart of the shares. heads: the profile (safetensors).', 'FILE'),
    ...engineFlags,
    json,
  },
  examples: [
    ['$0 profile time --length 8k --rows 1 --out time.svg', 'one prefill and decode steps after it'],
    ['$0 profile heads --method ./mine.ts --out mine.safetensors', 'a profile for --profile, or for a suite'],
  ],
  async run(values, terminal) {
    if (values.what === 'heads') {
      const { profileHeads } = await import('../profile-heads.js');
      return profileHeads(values, terminal);
    }
    if (values.backend !== undefined && values.backend !== 'cpu')
      throw new WinnowError('ERR_UNSUPPORTED', '--backend', 'cpu', values.backend, 'Only its ops are timed.');
    const [{ findOrPullModel, openOptionsOf }, { profileTime }, { resolveMethod }, { alignColumns }] =
      await Promise.all([
        import('../open-model.js'),
        import('../../engine/profile-time.js'),
        import('../../methods/load.js'),
        import('../columns.js'),
      ]);
    const model = await findOrPullModel(values.model, terminal);
    const tokens = values.length ?? DEFAULT_LENGTHS;
    const found = await profileTime(
      model.path,
      { ...openOptionsOf(values), resolveMethod, cancelled: () => terminal.signal.throwIfAborted() },
      {
        prefill: tokens,
        decode: tokens.flatMap((length) => (values.rows ?? [1, 16]).map((rows) => ({ tokens: length, rows }))),
      },
      async (pass) => {
        terminal.note(headOf(pass));
        // Ops block this thread; signals are only delivered between turns of the event loop.
        await setImmediate();
        terminal.signal.throwIfAborted();
      },
    );
    if (values.out !== undefined) {
      const [{ renderChart }, { timeShares }, { writeFileAtomic }] = await Promise.all([
        import('../../results/render.js'),
        import('../../results/charts/time-shares.js'),
        import('../../core/files.js'),
      ]);
      const { svg } = await renderChart(timeShares(model.id, found));
      writeFileAtomic(path.resolve(values.out), svg);
    }
    if (values.json) terminal.printJson({ model: model.id, ...found });
    else
      for (const pass of found.passes)
        terminal.print(`${headOf(pass)}\n${alignColumns([heads, ...rowsOf(pass)])}\n${layersOf(pass)}\n`);
    if (!values.json) terminal.print(roofOf(found.roof, found.isa, found.threads));
    return 0;
  },
});

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const headOf = ({ phase, tokens, rows, wallMs, outsideShare }: PassProfile): string => {
  const what =
    phase === 'prefill' ? `prefill of ${tokens} tokens` : `decode step of ${rows} rows after ${tokens} tokens`;
  return `${what}: ${wallMs.toPrecision(4)} ms, ${percent(outsideShare)} outside native ops`;
};

const roofOf = ({ gigaflops, gigabytesPerSecond }: Roof, isa: string, threads: number): string =>
  `roof of ${isa}, ${threads} threads: ${gigaflops.toFixed(0)} GFLOP/s, ${gigabytesPerSecond.toFixed(0)} GB/s read from memory`;

const heads = ['op', 'shape', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'of roof', 'bound'];

/** Ops below this share are in --json only. */
const SMALLEST_SHARE = 5e-4;

const rowsOf = ({ ops }: PassProfile): string[][] =>
  ops
    .filter(({ share }) => share >= SMALLEST_SHARE)
    .map((op) => [
      op.op,
      op.shape,
      `${op.calls}`,
      op.ms.toPrecision(3),
      percent(op.share),
      op.gigaflops === 0 ? '' : op.gigaflops.toPrecision(3),
      op.gigabytesPerSecond === 0 ? '' : op.gigabytesPerSecond.toPrecision(3),
      op.ofRoof === undefined ? '' : percent(op.ofRoof),
      op.bound ?? '',
    ]);

const layersOf = ({ layerMs, aroundMs }: PassProfile): string => {
  const sorted = [...layerMs].sort((a, b) => a - b);
  const [low, middle, high] = [0, 0.5, 1].map((share) => sorted[Math.round(share * (sorted.length - 1))]!);
  const numbers = [low, middle, high].map((ms) => ms!.toPrecision(3)).join(' / ');
  return `a layer: ${numbers} ms at least / in the middle / at most; embedding and head ${aroundMs.toPrecision(3)} ms`;
};
