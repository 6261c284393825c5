import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Method } from '../../methods/contract.js';
import { dense } from '../../methods/control/dense.js';
import { resolveMethod } from '../../methods/load.js';
import type { NumericsName, SampleOutcome, SampleRequest } from '../contract.js';
import { openLocal } from '../local.js';
import { writeTinyModel } from '../tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-batch-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(folder, { layers: 3, queryHeads: 8, kvHeads: 2, seed: 11 });

/** Throws at its second step, in samples that begin with a long context. */
const brittle: Method = {
  ...dense,
  id: 'brittle',
  hooks: () => ({
    decode: {
      select(view) {
        if (view.step === 2 && view.rows.sequences[0]!.contextLength > 150) throw new Error('broke on purpose');
        return { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };
      },
    },
  }),
};

const open = (numerics: NumericsName) =>
  openLocal(model, {
    backend: 'cpu',
    numerics,
    isa: 'auto',
    threads: 2,
    prefillChunk: 64,
    resolveMethod: async (ref) => (ref.id === 'brittle' ? brittle : resolveMethod(ref)),
    cancelled: () => {},
  });

const words = 'sun river stone light garden winter letter market bridge';
const settings: SampleRequest['settings'] = ['dense', 'snapkv', 'quest', 'brittle', 'tova'].map((id) => ({
  key: id,
  method: { id, params: id === 'quest' ? { denseLayers: 0 } : id === 'snapkv' ? { observationWindow: 8 } : {} },
  ...(id === 'dense' || id === 'brittle' ? {} : { keptFraction: 0.5 }),
}));

/** Contexts of different lengths, questions of different and of equal lengths, answers of different lengths. */
const requests: SampleRequest[] = [
  [3, ' Which?', 9],
  [4, ' Which number comes next?', 3],
  [2, ' Which number comes next?', 12],
  [7, '', 5],
].map(([repeats, question, maxNewTokens], i) => ({
  sampleId: `sample ${i}`,
  seed: i,
  prompt: {
    context: `${words} `.repeat(repeats as number),
    question: question as string,
    answerPrefix: ' It is',
    documents: [],
    evidence: [{ start: 5, end: 20 }],
    chatTemplate: false,
  },
  protocol: i % 2 === 0 ? 'query-agnostic' : 'query-aware',
  settings,
  maxNewTokens: maxNewTokens as number,
  stop: [],
  traceKept: true,
}));

const answers = ({ nativeMs: _native, totalMs: _total, ...outcome }: SampleOutcome): object => outcome;

for (const numerics of ['reference', 'native'] as const) {
  test(`samples of different lengths in one ${numerics} batch get the answers they get alone, in any order`, async () => {
    const engine = open(numerics);
    try {
      const alone: object[] = [];
      for (const request of requests) alone.push(answers(await engine.evaluate(request)));
      assert.deepEqual((await engine.evaluateBatch(requests)).map(answers), alone);
      const reversed = (await engine.evaluateBatch(requests.toReversed())).map(answers);
      assert.deepEqual(reversed.toReversed(), alone);
      const failed = alone.flatMap((outcome) =>
        (outcome as SampleOutcome).outcomes.filter(({ status }) => status !== 'ok').map(({ key }) => key),
      );
      assert.ok(failed.length > 0 && failed.length < requests.length, `${failed.length} of the samples broke`);
      assert.ok(failed.every((key) => key === 'brittle'));
    } finally {
      engine.close();
    }
  });
}
