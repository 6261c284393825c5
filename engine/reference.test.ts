/** The engine against an independent implementation, as recorded by scripts/record-reference.py. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Engine, NumericsName } from './contract.js';
import { defaultOpenOptions, openEngine } from './index.js';
import { defaultModelId, findModel } from './models.js';

interface TopLogits {
  readonly logSumExp: number;
  readonly topIds: readonly number[];
  readonly topLogits: readonly number[];
}
interface StoredRows {
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
}
interface RecordedPrompt {
  readonly name: string;
  readonly text: string;
  readonly ids: readonly number[];
  readonly continuation: readonly number[];
  readonly continuationText: string;
  readonly finish: 'stop' | 'length';
  readonly tail: readonly TopLogits[];
  readonly sampledLogits: StoredRows;
  readonly wholeLogits?: StoredRows;
}
interface Recorded {
  readonly modelSha256: string;
  readonly logitUnit: number;
  readonly logitStride: number;
  readonly prompts: readonly RecordedPrompt[];
  readonly prose: {
    readonly ids: readonly number[];
    readonly logSumExp: readonly number[];
    readonly topIds: readonly (readonly number[])[];
    readonly topLogits: readonly (readonly number[])[];
  };
}

const fixture = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'fixtures', name));
const recorded: Recorded = JSON.parse(fixture('reference.json').toString());

/** Largest difference of a logit from the recorded one, storage of the recording included. */
const logitBound = 2e-3;
const meanDivergenceBound = 5e-4;
const topAgreementBound = 0.99;
/** Prompts whose logits are compared: the file formats' odd corners, and one of 3 000 tokens for the angles of far positions. */
const comparedPrompts = ['short', 'question', 'code', 'letters', 'needle-1k', 'prose-3k'];

/** The stored integers: byte planes, least significant first. */
function storedLogits(): Float32Array {
  const planes = gunzipSync(fixture('reference-logits.bin.gz'));
  const count = planes.length / 4;
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    const integer =
      planes[index]! |
      (planes[count + index]! << 8) |
      (planes[2 * count + index]! << 16) |
      (planes[3 * count + index]! << 24);
    values[index] = integer / recorded.logitUnit;
  }
  return values;
}

function logSumExp(row: Float32Array): number {
  let peak = Number.NEGATIVE_INFINITY;
  for (const value of row) peak = Math.max(peak, value);
  let sum = 0;
  for (const value of row) sum += Math.exp(value - peak);
  return peak + Math.log(sum);
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let index = 1; index < row.length; index++) if (row[index]! > row[best]!) best = index;
  return best;
}

/** KL(p || q) in nats of two rows of logits. */
function divergence(p: Float32Array, q: Float32Array): number {
  const pTotal = logSumExp(p);
  const qTotal = logSumExp(q);
  let sum = 0;
  for (let index = 0; index < p.length; index++) {
    const logP = p[index]! - pTotal;
    sum += Math.exp(logP) * (logP - (q[index]! - qTotal));
  }
  return sum;
}

const rowOf = (logits: Float32Array, width: number, row: number): Float32Array =>
  logits.subarray(row * width, (row + 1) * width);

suite('default model against transformers in float32', () => {
  let path: string | undefined;
  before(async () => {
    const model = await findModel(defaultModelId);
    if (model !== undefined) assert.equal(model.sha256, recorded.modelSha256);
    path = model?.path;
  });

  const withEngine = (
    name: string,
    numerics: NumericsName,
    body: (engine: Engine, context: TestContext) => Promise<void>,
  ): void =>
    void test(name, async (context) => {
      if (path === undefined)
        return context.skip(`${defaultModelId} is not in the cache: winnow models pull ${defaultModelId}`);
      const engine = await openEngine(path, { ...defaultOpenOptions, numerics });
      try {
        await body(engine, context);
      } finally {
        await engine.close();
      }
    });

  withEngine(
    `reference numerics give the recorded greedy text on all ${recorded.prompts.length} prompts`,
    'reference',
    async (engine) => {
      for (const { name, text, ids, continuation, continuationText, finish } of recorded.prompts) {
        // One more than recorded where the model ended by itself, so that it has to end again.
        const maxNewTokens = continuation.length + (finish === 'stop' ? 1 : 0);
        const outcome = await engine.generate({ text, raw: true, maxNewTokens });
        assert.equal(outcome.promptTokens, ids.length, name);
        assert.deepEqual(outcome.tokenIds, continuation, name);
        assert.equal(outcome.text, continuationText, name);
        assert.equal(outcome.finishReason, finish, name);
      }
    },
  );

  withEngine(
    `reference numerics give the recorded logits within ${logitBound}`,
    'reference',
    async (engine, context) => {
      const stored = storedLogits();
      const width = engine.facts.vocabSize;
      let most = 0;
      for (const prompt of recorded.prompts.filter(({ name }) => comparedPrompts.includes(name))) {
        const logits = await engine.logits(Int32Array.from(prompt.ids));
        const compare = ({ at, rows, columns }: StoredRows, stride: number): void => {
          for (let row = 0; row < rows; row++) {
            const own = rowOf(logits, width, prompt.ids.length - rows + row);
            for (let column = 0; column < columns; column++) {
              const difference = Math.abs(own[column * stride]! - stored[at + row * columns + column]!);
              assert.ok(
                difference <= logitBound,
                `${prompt.name}, row ${row}, token ${column * stride}: off by ${difference}`,
              );
              most = Math.max(most, difference);
            }
          }
        };
        compare(prompt.sampledLogits, recorded.logitStride);
        if (prompt.wholeLogits !== undefined) compare(prompt.wholeLogits, 1);
        prompt.tail.forEach((expected, row) => {
          const own = rowOf(logits, width, prompt.ids.length - prompt.tail.length + row);
          assert.ok(
            Math.abs(logSumExp(own) - expected.logSumExp) <= logitBound,
            `${prompt.name}, row ${row}: log-sum-exp`,
          );
          expected.topIds.forEach((id, rank) => {
            assert.ok(
              Math.abs(own[id]! - expected.topLogits[rank]!) <= logitBound,
              `${prompt.name}, row ${row}, token ${id}`,
            );
          });
        });
      }
      context.diagnostic(`largest difference of a logit: ${most.toExponential(2)}`);
    },
  );

  test(`native numerics stay within ${meanDivergenceBound} nats a position of reference numerics over prose`, async (context) => {
    if (path === undefined)
      return context.skip(`${defaultModelId} is not in the cache: winnow models pull ${defaultModelId}`);
    const ids = Int32Array.from(recorded.prose.ids);
    const logitsIn = async (numerics: NumericsName): Promise<Float32Array> => {
      const engine = await openEngine(path!, { ...defaultOpenOptions, numerics });
      try {
        return await engine.logits(ids);
      } finally {
        await engine.close();
      }
    };
    const reference = await logitsIn('reference');
    const native = await logitsIn('native');
    const width = reference.length / ids.length;
    let total = 0;
    let agreeing = 0;
    for (let position = 0; position < ids.length; position++) {
      const exact = rowOf(reference, width, position);
      const fast = rowOf(native, width, position);
      // The reference numerics stand for the recording, so they must be it at every position.
      assert.ok(
        Math.abs(logSumExp(exact) - recorded.prose.logSumExp[position]!) <= logitBound,
        `position ${position}: log-sum-exp`,
      );
      recorded.prose.topIds[position]!.forEach((id, rank) => {
        assert.ok(
          Math.abs(exact[id]! - recorded.prose.topLogits[position]![rank]!) <= logitBound,
          `position ${position}, token ${id}`,
        );
      });
      total += divergence(exact, fast);
      if (argmax(fast) === recorded.prose.topIds[position]![0]) agreeing++;
    }
    const mean = total / ids.length;
    const agreement = agreeing / ids.length;
    context.diagnostic(
      `KL ${mean.toExponential(2)} nats a position, best token equal at ${(agreement * 100).toFixed(2)} % of ${ids.length}`,
    );
    assert.ok(mean <= meanDivergenceBound, `KL ${mean}`);
    assert.ok(agreement >= topAgreementBound, `best token equal at ${agreement}`);
  });
});
