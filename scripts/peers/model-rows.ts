import { sum } from '../../core/statistics.js';
import type { BenchRow } from '../bench-rows.js';
import { compare } from './compare.js';
import { llamaBench } from './llama-bench.js';
import { ids, msOf, sampleOf, tokensPerSecond, type Workbench } from './workbench.js';

/** Prefill of 1K and 4K tokens beside transformers in bf16 and llama.cpp on the same file. */
export async function* prefillRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  for (const tokens of [1024, 4096]) {
    const prompt = ids(tokens);
    const facts = { name: 'prefill', isa: ours.isa, shape: `${tokens} tokens`, turns: bench.rounds };
    const measure = () => msOf(ours.ask('prefill', { ids: prompt }));
    const rate = tokensPerSecond(tokens);
    const torch = async () => msOf((await bench.torch()).ask('prefill', { dtype: 'bf16', ids: prompt }));
    const torchSide = { needs: 'torch', name: 'torch bf16', measure: torch } as const;
    yield await bench.row({ ...facts, ours: measure, rate, peer: torchSide });
    if (!bench.has('llama.cpp')) continue;
    const llama = () => llamaTimes(bench, { prompt: tokens, generate: 0, depth: 0, repeats: 1 });
    const llamaSide = { needs: 'llama.cpp', name: 'llama.cpp', measure: llama } as const;
    // Every turn is a process that warms itself up.
    yield await bench.row({ ...facts, ours: measure, rate, peer: llamaSide, isWarm: true });
  }
}

const llamaTimes = (bench: Workbench, test: Omit<Parameters<typeof llamaBench>[2], 'threads'>): Promise<number[]> =>
  llamaBench(bench.peers, bench.modelPath, { ...test, threads: bench.threads }, bench.signal);

/** Prefill in reference numerics beside torch in f32. */
export async function* referenceRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours('reference');
  for (const tokens of [1024, 4096]) {
    const prompt = ids(tokens);
    yield await bench.row({
      name: 'prefill-reference',
      isa: ours.isa,
      shape: `${tokens} tokens`,
      turns: bench.rounds,
      ours: () => msOf(ours.ask('prefill', { ids: prompt })),
      rate: tokensPerSecond(tokens),
      peer: {
        needs: 'torch',
        name: 'torch f32',
        measure: async () => msOf((await bench.torch()).ask('prefill', { dtype: 'f32', ids: prompt })),
      },
    });
  }
}

/** Text to first token in reference numerics beside ONNX Runtime, which comes with Winnow as the ort backend. */
export async function* ortRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const [ours, other] = [await bench.ours('reference'), await bench.fresh()];
  const { prompt } = sampleOf(1024, [], 1);
  const first = (side: typeof ours, backend: 'cpu' | 'ort') => async () => {
    const request = { path: bench.modelPath, text: prompt.context, threads: bench.threads, backend };
    return msOf(side.ask('firstToken', request));
  };
  yield await compare(
    {
      name: 'first-token-reference',
      isa: ours.isa,
      shape: 'about 1K tokens of text',
      turns: bench.rounds,
      ours: first(ours, 'cpu'),
      peer: { name: 'onnxruntime f32', measure: first(other, 'ort') },
      rate: (ms) => ({ value: 1e3 / ms, unit: 'prompts/s' }),
    },
    bench.signal,
  );
}

const NEW_TOKENS = 32;

interface Decoded {
  readonly ms: readonly number[];
  readonly cacheBytes: number;
}

/** Decode at a depth beside llama.cpp, and the share of the measured read bandwidth that weights and cache take. */
export async function* decodeRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const { read } = await ours.ask<{ read: number }>('roof', { threads: bench.threads });
  for (const depth of [1024, 4096, 8000]) {
    // Filling llama.cpp's cache takes half a minute at 8K: several stretches are measured after each fill.
    const repeats = Math.ceil(bench.rounds / 3);
    let cacheBytes = 0;
    yield await bench.row({
      name: 'decode',
      isa: ours.isa,
      shape: `after ${depth} tokens`,
      turns: Math.ceil(bench.rounds / repeats),
      isWarm: true,
      ours: async () => {
        const request = { ids: ids(depth), rows: 1, newTokens: NEW_TOKENS, repeats };
        const decoded = await ours.ask<Decoded>('decode', request);
        cacheBytes = decoded.cacheBytes;
        return decoded.ms;
      },
      rate: (ms) => ({
        value: ((ours.weightBytes + cacheBytes) / ms / 1e6 / read) * 100,
        unit: `% of ${read.toFixed(0)} GB/s read`,
      }),
      peer: {
        needs: 'llama.cpp',
        name: 'llama.cpp',
        measure: () => llamaTimes(bench, { prompt: 0, generate: NEW_TOKENS, depth, repeats }),
      },
    });
  }
}

/** A step of 16 and of 64 rows in steps of one row. */
export async function* batchRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const step = (rows: number) => async () => {
    const request = { ids: ids(1024), rows, newTokens: 16, repeats: 1 };
    return (await ours.ask<Decoded>('decode', request)).ms;
  };
  for (const rows of [16, 64]) {
    const facts = { name: 'decode-batch', isa: ours.isa, shape: `${rows} rows after 1024 tokens`, turns: bench.rounds };
    const one = { name: 'winnow, 1 row', measure: step(1) };
    const row = await compare({ ...facts, ours: step(rows), peer: one, rate: tokensPerSecond(rows) }, bench.signal);
    yield { ...row, rate: { value: 1 / row.ratio!, unit: 'steps of 1 row' } };
  }
}

const matrixMethods = ['streaming-llm', 'snapkv', 'tova', 'knorm'] as const;
const keptFractions = [0.75, 0.5, 0.25] as const;
const MATRIX_TOKENS = 12;

/** Dense and four methods at three fractions kept: one sample from prompt to 12 new tokens, beside kvpress, which runs them in turn. */
export async function* matrixRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const pairs = matrixMethods.flatMap((id) => keptFractions.map((kept) => [id, kept] as const));
  const settings = [
    { key: 'dense', method: { id: 'dense', params: {} } },
    ...pairs.map(([id, kept]) => ({ key: `${id} ${kept}`, method: { id, params: {} }, keptFraction: kept })),
  ];
  for (const tokens of [1024, 4096]) {
    const request = sampleOf(tokens, settings, MATRIX_TOKENS);
    const prepared = await ours.ask<{ contextIds: number[]; questionIds: number[] }>('prepare', { request });
    const asked = {
      context_ids: prepared.contextIds,
      question_ids: prepared.questionIds,
      settings: [null, ...pairs],
      new_tokens: MATRIX_TOKENS,
    };
    // A whole round of kvpress would be a long warm-up: its process warms itself up on a short prompt.
    await ours.ask('matrix', { request });
    yield await bench.row({
      name: 'matrix',
      isa: ours.isa,
      shape: `${settings.length} settings, ${prepared.contextIds.length} tokens`,
      // kvpress takes minutes at 4K: an interval from few rounds is their range.
      turns: Math.min(bench.rounds, tokens > 2048 ? 2 : 4),
      isWarm: true,
      ours: async () => {
        const { ms, answers } = await ours.ask<{ ms: number; answers: number[][] }>('matrix', { request });
        const made = sum(answers.map((answer) => answer.length));
        if (made < settings.length * MATRIX_TOKENS)
          bench.note(`matrix: ${made} of ${settings.length * MATRIX_TOKENS} tokens, some answers ended early`);
        return ms;
      },
      rate: (ms) => ({ value: ms / settings.length, unit: 'ms a setting' }),
      peer: {
        needs: 'kvpress',
        name: 'kvpress bf16',
        measure: async () => msOf((await bench.kvpress()).ask('matrix', asked)),
      },
    });
  }
}
