/** Checks on amounts: budgets, bytes, pairs and counters of the engine. */
import assert from 'node:assert/strict';
import type { BenchRequest, BenchStep, ConformanceBench } from './conformance-bench.js';
import { actsOnText, type Check, type CheckFacts, first } from './conformance-check.js';
import {
  assertSameLogits,
  declaredStateBytes,
  evictableHeads,
  type OkRow,
  protocols,
  QUESTION_TOKENS,
  requestFor,
  runAll,
  runOne,
  settingFor,
  slotBytesByHead,
  tokenIds,
} from './conformance-subject.js';
import { dense } from './control/dense.js';

const shares = [0.25, 0.5, 0.8] as const;
const denseSetting = { key: 'dense beside it', method: dense, params: {} } as const;

const onEach = async (
  facts: CheckFacts,
  body: (bench: ConformanceBench, request: (change?: Partial<BenchRequest>) => BenchRequest) => Promise<void>,
): Promise<void> => {
  for (const bench of facts.benches) {
    for (const protocol of protocols)
      await body(bench, (change = {}) => requestFor(facts.subject, { protocol, ...change }));
  }
};

const sumAt = (values: ArrayLike<number>, indices: readonly number[]): number =>
  indices.reduce((sum, i) => sum + values[i]!, 0);
const noBudget = ({ subject }: CheckFacts): string | undefined =>
  subject.method.budgetAxis === 'none' ? 'takes no budget' : undefined;

export const amountChecks: readonly Check[] = [
  {
    property: 'C14',
    title: 'the budget is met: to the token when exact, never exceeded when bounded',
    exempt: (facts) => first(actsOnText(facts), noBudget(facts)),
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        for (const share of shares) {
          const settings = [settingFor(facts.subject, share), denseSetting];
          const [row, full] = await bench.run(request({ settings }));
          if (row!.status === 'unsupported') continue;
          assert.ok(
            row!.status === 'ok' && full!.status === 'ok',
            row!.status === 'ok' ? 'dense failed' : row!.error.message,
          );
          checkBudget(facts, bench, share, row as OkRow, full as OkRow);
        }
      }),
  },
  {
    property: 'T9',
    title: 'measured bytes equal the formula, after the prompt and at the end',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const row = await runOne(bench, request());
        assert.equal(row.kvCacheBytes, row.expectedKvCacheBytes);
        assert.equal(row.kvCacheBytesEnd, row.expectedKvCacheBytesEnd);
      }),
  },
  {
    property: 'C17',
    title: 'declared state weighs what the declaration says, also after many steps',
    exempt: actsOnText,
    run: async (facts) => {
      for (const bench of facts.benches) {
        const row = await runOne(bench, requestFor(facts.subject));
        const last = row.steps.at(-1)!.slotsAfter;
        const declared = declaredStateBytes(facts.subject, bench.facts, last);
        if (hasPool(facts)) assert.ok(row.stateBytes <= declared, `${row.stateBytes} of at most ${declared} bytes`);
        else assert.equal(row.stateBytes, declared);
        await longRun(facts, bench, 150);
      }
    },
  },
  {
    property: 'T8',
    title: 'thousands of steps leave books and memory in order',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        facts.hooks.cache?.maintain === undefined ? 'never evicts or packs while it decodes' : undefined,
      ),
    run: async (facts) => {
      const count = facts.subject.method.covers === 'total' ? 2_000 : 300;
      for (const bench of facts.benches) await longRun(facts, bench, count);
    },
  },
  {
    property: 'C18',
    title: 'what a plan leaves out is really not read: NaN in it changes nothing',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const clean = await runOne(bench, request());
        const poisoned = await runOne(bench, request({ poison: true }));
        assertSameLogits(poisoned.logits, clean.logits);
        assert.ok(
          clean.logits.every((line) => line.every(Number.isFinite)),
          'a logit is not finite',
        );
      }),
  },
  {
    property: 'C19',
    title: 'billed bytes cover what was read, pairs are those of the plan, and two runs agree',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const [row, again] = [await runOne(bench, request()), await runOne(bench, request())];
        const widths = slotBytesByHead(bench.facts);
        row.steps.forEach((step, i) => {
          const read = step.slotsRead.reduce((bytes, slots, head) => bytes + slots * widths[head]!, 0);
          const isPacked =
            facts.subject.method.family === 'quantisation' || facts.subject.method.family === 'composition';
          if (!isPacked) assert.ok(step.kvBytesRead >= read, `step ${i}: ${step.kvBytesRead} billed, ${read} read`);
          else
            assert.ok(
              step.kvBytesRead > 0 && step.kvBytesRead <= read + row.stateBytes,
              `step ${i}: ${step.kvBytesRead}`,
            );
          assert.equal(step.kvBytesRead, again.steps[i]!.kvBytesRead);
        });
        assert.equal(row.prefillPairs, again.prefillPairs);
        if (!facts.declared.changesPrefill) assert.equal(row.prefillPairs, row.causalPairs);
        else assert.ok(row.prefillPairs < row.causalPairs, 'no pair was saved');
      }),
  },
  {
    property: 'C20',
    title: 'steps read nothing back, and neither calls nor memory grow with the steps',
    exempt: actsOnText,
    run: async (facts) => {
      for (const bench of facts.benches) {
        const { steps } = await runOne(bench, requestFor(facts.subject, { maxNewTokens: 24 }));
        const answers = steps.filter((step) => step.phase === 'answer');
        for (const step of answers)
          assert.ok(step.hostReads <= facts.declared.hostReadsPerStep, `${step.hostReads} host reads`);
        const calls = (part: readonly BenchStep[]): number => Math.max(...part.map((step) => step.nativeCalls));
        assert.ok(calls(answers.slice(-8)) <= calls(answers.slice(1, 9)), 'the list of native calls does not grow');
        const peaks = answers.slice(1).map((step) => step.tensorPeakBytes);
        assert.ok(
          Math.max(...peaks) - peaks[0]! <= facts.subject.contextTokens * 4_096,
          `tensor memory grew: ${peaks.join(', ')}`,
        );
      }
    },
  },
];

const hasPool = ({ declared }: CheckFacts): boolean =>
  Object.values(declared.state).some((field) => field.per === 'pool');

/** Budgets by axis; `full` is the dense row of the same request. */
const checkBudget = (facts: CheckFacts, bench: ConformanceBench, share: number, row: OkRow, full: OkRow): void => {
  const { subject } = facts;
  const heads = evictableHeads(bench.facts);
  const tokens = Math.floor(share * subject.contextTokens);
  const exact = subject.method.budgetControl === 'exact';
  const compare = (actual: number, allowed: number, what: string): void => {
    if (exact) assert.equal(actual, allowed, what);
    else assert.ok(actual <= allowed, `${what}: ${actual} over ${allowed}`);
  };
  switch (subject.method.budgetAxis) {
    case 'residentBytes': {
      if (subject.method.family === 'quantisation') {
        assert.ok(
          row.kvCacheBytes <=
            full.kvCacheBytes * share +
              (full.kvCacheBytes / (subject.contextTokens + QUESTION_TOKENS)) * QUESTION_TOKENS,
        );
        return;
      }
      const counts = row.kept.flatMap((layer) => layer.map((head) => head.length));
      const extra = subject.method.covers === 'total' ? 0 : row.steps[0]!.phase === 'question' ? 0 : QUESTION_TOKENS;
      compare(sumAt(counts, heads), heads.length * (tokens + extra), 'slots after the prefill');
      if (subject.method.covers === 'total') {
        for (const step of row.steps) assert.ok(Math.max(...step.slotsAfter) <= tokens, 'after every step');
      }
      return;
    }
    case 'bytesRead': {
      for (const step of row.steps.filter(({ queryLen }) => queryLen === 1)) {
        const later = step.slotsBefore[heads[0]!]! - subject.contextTokens;
        compare(sumAt(step.slotsRead, heads), heads.length * (tokens + later), 'slots read in a step');
      }
      return;
    }
    case 'density':
      assert.ok(row.prefillPairs <= share * row.causalPairs, 'pairs of the prefill');
      return;
    default:
      assert.fail(`no rule for ${subject.method.budgetAxis}`);
  }
};

/** Many single-token steps of one session: lengths, bytes and memory stay consistent. */
const longRun = async (facts: CheckFacts, bench: ConformanceBench, count: number): Promise<void> => {
  const [session] = await bench.begin(requestFor(facts.subject, { maxNewTokens: count + 1 }));
  const ids = tokenIds(11, 64);
  let atHalf = bench.memory();
  for (let i = 0; i < count; i++) {
    await session!.step(Int32Array.of(ids[i % ids.length]!));
    if (i === count >> 1) atHalf = bench.memory();
  }
  const { kvCacheBytes, expectedKvCacheBytes } = session!.bytes();
  assert.equal(kvCacheBytes, expectedKvCacheBytes);
  assert.equal(bench.memory().tensorBytes, atHalf.tensorBytes, 'tensors do not pile up');
  if (facts.subject.method.covers === 'total')
    assert.equal(bench.memory().cacheBytes, atHalf.cacheBytes, 'the cache stays flat');
  session!.free();
};

export const fullBudgetChecks: readonly Check[] = [
  {
    property: 'T1',
    title: 'a full budget gives the logits of dense attention, bit for bit',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const [row, full] = await runAll(bench, request({ settings: [settingFor(facts.subject, 1), denseSetting] }));
        assertSameLogits(row!.logits, full!.logits);
      }),
  },
  {
    property: 'C16',
    title: 'a full budget is dense: density 1, the bytes of dense and those of declared state',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const [row, full] = await runAll(bench, request({ settings: [settingFor(facts.subject, 1), denseSetting] }));
        assert.equal(row!.prefillPairs, row!.causalPairs);
        const state = declaredStateBytes(facts.subject, bench.facts, row!.steps.at(-1)!.slotsAfter);
        if (hasPool(facts)) assert.ok(row!.kvCacheBytesEnd <= full!.kvCacheBytesEnd + state);
        else assert.equal(row!.kvCacheBytesEnd, full!.kvCacheBytesEnd + state);
        assert.deepEqual(listing(row!), listing(full!));
      }),
  },
];

const listing = ({ kept }: OkRow): string[][] => kept.map((layer) => layer.map((head) => head.join()));
