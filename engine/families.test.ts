/** Every family against `transformers` in float32, as recorded by scripts/record-reference.py on small random models. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { dense } from '../methods/control/dense.js';
import { openBench } from './bench.js';
import { rotaryFrequencies } from './config-rope.js';
import type { NumericsName } from './contract.js';
import { defaultOpenOptions, openEngine } from './index.js';
import { findModel } from './models.js';
import { type TinyModelOptions, tinyConfig, writeTinyModel } from './tiny-model.js';

interface Recorded {
  readonly name: string;
  readonly options: Partial<TinyModelOptions>;
  readonly ids: readonly number[];
  /** Logits of every `stride`-th token were kept. */
  readonly stride: number;
  readonly positions: readonly number[];
  readonly logits: readonly (readonly number[])[];
  /** Fed in parts: the context, a question as one step, then single tokens up to `end`; logits after the listed steps. */
  readonly decode: {
    readonly context: number;
    readonly question: number;
    readonly end: number;
    readonly steps: readonly number[];
    readonly logits: readonly (readonly number[])[];
  };
}
const models: readonly Recorded[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/tiny-models.json')).toString(),
);

/** Largest difference of a logit from the recorded one; logits lie near 1, the recording is rounded to 1e-4. */
const logitBound = 5e-4;
const divergenceBound = 5e-3;

const root = mkdtempSync(join(tmpdir(), 'winnow-families-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A GGUF file holds llama3 scaling as the factors that it comes to; dynamic scaling it does not hold. */
function asGguf(options: Partial<TinyModelOptions>): Partial<TinyModelOptions> | undefined {
  if (options.ropeScaling?.kind === 'dynamic') return undefined;
  if (options.ropeScaling?.kind !== 'llama3') return { ...options, format: 'gguf' };
  const scaled = rotaryFrequencies(tinyConfig(options));
  const plain = rotaryFrequencies(tinyConfig({ ...options, ropeScaling: { kind: 'none' } }));
  return {
    ...options,
    format: 'gguf',
    ropeScaling: { kind: 'factors', factors: [...plain].map((frequency, pair) => frequency / scaled[pair]!) },
  };
}

const pathOf = ({ name, options }: Recorded): string =>
  writeTinyModel(join(root, name), { ...options, format: 'safetensors' });

const compare = (own: Float32Array, expected: readonly number[], stride: number, where: string): void => {
  expected.forEach((value, column) => {
    const got = own[column * stride]!;
    assert.ok(Math.abs(got - value) <= logitBound, `${where}, token ${column * stride}: ${got} for ${value}`);
  });
};

async function logitsOf(path: string, ids: readonly number[], numerics: NumericsName): Promise<Float32Array[]> {
  const engine = await openEngine(path, { ...defaultOpenOptions, numerics });
  try {
    const all = await engine.logits(Int32Array.from(ids));
    const width = engine.facts.vocabSize;
    return ids.map((_, position) => all.slice(position * width, (position + 1) * width));
  } finally {
    await engine.close();
  }
}

/** KL(p || q) in nats of two rows of logits. */
function divergence(p: Float32Array, q: Float32Array): number {
  const total = (row: Float32Array): number => Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
  const [pTotal, qTotal] = [total(p), total(q)];
  return p.reduce((sum, value, i) => sum + Math.exp(value - pTotal) * (value - pTotal - (q[i]! - qTotal)), 0);
}

for (const model of models) {
  const { name, options, ids, positions, stride, decode } = model;
  suite(`a random ${name} model`, () => {
    test('gives the recorded logits from a Hugging Face directory, and nearly those in native numerics', async (context) => {
      const path = pathOf(model);
      const exact = await logitsOf(path, ids, 'reference');
      positions.forEach((position, row) => {
        compare(exact[position]!, model.logits[row]!, stride, `position ${position}`);
      });
      const fast = await logitsOf(path, ids, 'native');
      const mean = exact.reduce((sum, row, position) => sum + divergence(row, fast[position]!), 0) / ids.length;
      context.diagnostic(`native numerics: ${mean.toExponential(1)} nats a position`);
      assert.ok(mean <= divergenceBound, `KL ${mean}`);
    });

    const gguf = asGguf(options);
    test('gives the recorded logits from a GGUF file', {
      skip: gguf === undefined && 'GGUF cannot hold its scaling',
    }, async () => {
      const logits = await logitsOf(writeTinyModel(join(root, `${name}-gguf`), gguf), ids, 'reference');
      positions.forEach((position, row) => {
        compare(logits[position]!, model.logits[row]!, stride, `position ${position}`);
      });
    });

    test('gives the recorded logits when fed in parts, whatever the prefill chunk', async () => {
      const bench = await openBench(pathOf(model), { numerics: 'reference' });
      try {
        const at = (start: number, end: number): Int32Array => Int32Array.from(ids.slice(start, end));
        const asked = decode.context + decode.question;
        for (const prefillChunk of [decode.context, 16, 7]) {
          const [row] = await bench.run({
            contextIds: at(0, decode.context),
            questionIds: at(decode.context, asked),
            forcedTokens: at(asked, decode.end),
            settings: [{ key: 'dense', method: dense, params: {} }],
            protocol: 'query-agnostic',
            maxNewTokens: decode.end - asked + 1,
            sampleSeed: 0,
            prefillChunk,
          });
          assert.ok(row?.status === 'ok', JSON.stringify(row));
          decode.steps.forEach((step, i) => {
            compare(row.logits[step]!, decode.logits[i]!, stride, `chunk ${prefillChunk}, step ${step}`);
          });
        }
      } finally {
        await bench.close();
      }
    });
  });
}

interface RecordedGemma {
  readonly modelSha256: string;
  readonly ids: readonly number[];
  /** Of the last positions. */
  readonly tail: readonly { readonly topIds: readonly number[]; readonly topLogits: readonly number[] }[];
}

test('Gemma 3 270M gives the recorded logits beyond its window', async (context) => {
  const model = await findModel('gemma-3-270m');
  if (model === undefined) return context.skip('gemma-3-270m is not in the cache: winnow models pull gemma-3-270m');
  const recorded: RecordedGemma = JSON.parse(
    readFileSync(join(import.meta.dirname, 'fixtures/gemma-3-270m.json')).toString(),
  );
  assert.equal(model.sha256, recorded.modelSha256);
  const { ids, tail } = recorded;
  const first = ids.length - tail.length;
  const bench = await openBench(model.path, { numerics: 'reference' });
  try {
    const [row] = await bench.run({
      contextIds: Int32Array.from(ids.slice(0, first)),
      questionIds: Int32Array.of(ids[first]!),
      forcedTokens: Int32Array.from(ids.slice(first + 1)),
      settings: [{ key: 'dense', method: dense, params: {} }],
      protocol: 'query-agnostic',
      maxNewTokens: tail.length,
      sampleSeed: 0,
    });
    assert.ok(row?.status === 'ok', JSON.stringify(row));
    tail.forEach(({ topIds, topLogits }, step) => {
      topIds.forEach((id, rank) => {
        const [own, expected] = [row.logits[step]![id]!, topLogits[rank]!];
        assert.ok(Math.abs(own - expected) <= 2e-3, `step ${step}, token ${id}: ${own} for ${expected}`);
      });
    });
  } finally {
    await bench.close();
  }
});
