import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { resolveMethod } from '../../methods/load.js';
import { loadAddon } from '../../native/index.js';
import type { IsaName, SampleRequest } from '../contract.js';
import { openLocal } from '../local.js';
import { writeTinyModel } from '../tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-invariance-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(join(folder, 'gqa'), {
  format: 'gguf',
  layers: 3,
  hiddenSize: 64,
  queryHeads: 8,
  kvHeads: 2,
  headDim: 16,
  ffn: 96,
  seed: 7,
});

const open = (isa: IsaName, threads: number, prefillChunk = 1024) =>
  openLocal(model, {
    backend: 'cpu',
    numerics: 'reference',
    isa,
    threads,
    prefillChunk,
    resolveMethod,
    cancelled: () => {},
  });

const words = 'sun river stone light garden winter letter market bridge';
const context = Array.from({ length: 8 }, (_, i) => `${words} ${i}.`).join(' ');
const request: SampleRequest = {
  sampleId: 'one',
  seed: 3,
  prompt: {
    context,
    question: ' Which number comes next?',
    answerPrefix: ' It is',
    documents: [],
    evidence: [{ start: 120, end: 160 }],
    chatTemplate: false,
  },
  protocol: 'query-agnostic',
  settings: ['dense', 'random', 'oracle', 'snapkv', 'tova', 'quest', 'oracle-top-k', 'streaming-llm'].map((id) => ({
    key: id,
    method: { id, params: id === 'quest' ? { denseLayers: 0 } : {} },
    ...(id === 'dense' ? {} : { keptFraction: 0.5 }),
  })),
  maxNewTokens: 12,
  stop: [],
  traceKept: false,
};

describe('reference numerics', () => {
  const isas = loadAddon().cpuFacts().isas;
  const ids = Int32Array.from({ length: 300 }, (_, i) => 3 + ((i * 37) % 200));
  const first = { logits: undefined as Float32Array | undefined, answers: '' };
  for (const isa of isas) {
    for (const threads of [1, 2]) {
      it(`${isa} with ${threads} thread${threads === 1 ? '' : 's'} give the same bits, text and bytes as ${isas[0]} with 1`, async () => {
        const engine = open(isa, threads);
        try {
          const logits = engine.logits(ids);
          const { outcomes } = await engine.evaluate(request);
          const failed = outcomes.filter((outcome) => outcome.status !== 'ok');
          assert.deepEqual(failed, []);
          const answers = JSON.stringify(outcomes);
          first.logits ??= logits;
          first.answers ||= answers;
          assert.deepEqual(new Uint8Array(logits.buffer), new Uint8Array(first.logits.buffer));
          assert.equal(answers, first.answers);
        } finally {
          engine.close();
        }
      });
    }
  }

  it('prefill chunks of 64 and of the whole prompt give the same answers', async () => {
    const answers: string[] = [];
    for (const chunk of [64, 1 << 20]) {
      const engine = open('auto', 2, chunk);
      try {
        answers.push(JSON.stringify((await engine.evaluate(request)).outcomes));
      } finally {
        engine.close();
      }
    }
    assert.equal(answers[0], answers[1]);
  });
});

it('traced positions are those that each method kept of the context, and none are told unasked', async () => {
  const engine = open('auto', 2);
  try {
    const traced = await engine.evaluate({ ...request, traceKept: true });
    for (const outcome of traced.outcomes) {
      assert.ok(outcome.status === 'ok');
      const evicts = ['random', 'oracle', 'snapkv', 'tova', 'streaming-llm'].includes(outcome.key);
      const expected = evicts ? Math.floor(outcome.contextTokens / 2) : outcome.contextTokens;
      for (const heads of outcome.kept!) for (const held of heads) assert.equal(held.length, expected, outcome.key);
    }
    const plain = await engine.evaluate(request);
    for (const outcome of plain.outcomes) assert.ok(outcome.status === 'ok' && outcome.kept === undefined);
  } finally {
    engine.close();
  }
});
