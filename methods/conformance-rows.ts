/** Checks on rows of the engine: what one row computes depends on that row alone. */
import assert from 'node:assert/strict';
import { knorm } from './cache/knorm.js';
import type { BenchRequest, BenchSetting, ConformanceBench } from './conformance-bench.js';
import { actsOnText, type Check, type CheckFacts, first } from './conformance-check.js';
import { isolated } from './conformance-isolation.js';
import {
  fingerprint,
  protocols,
  QUESTION_TOKENS,
  requestFor,
  runAll,
  runOne,
  type Subject,
  settingFor,
  tokenIds,
} from './conformance-subject.js';
import { watchHooks } from './conformance-watch.js';
import type { Method } from './contract.js';
import { dense } from './control/dense.js';
import { oracleTopK } from './control/oracle-top-k.js';

const onEach = async (
  facts: CheckFacts,
  body: (bench: ConformanceBench, request: (change?: Partial<BenchRequest>) => BenchRequest) => Promise<void>,
): Promise<void> => {
  for (const bench of facts.benches) {
    for (const protocol of protocols)
      await body(bench, (change = {}) => requestFor(facts.subject, { protocol, ...change }));
  }
};

const denseSetting: BenchSetting = { key: 'dense beside it', method: dense, params: {} };

/** Neighbours of other kinds: plain, evicting and selecting. */
const neighbours: readonly BenchSetting[] = [
  denseSetting,
  { key: 'knorm beside it', method: knorm, params: { sinkTokens: 0, recentTokens: 0 }, keptFraction: 0.25 },
  { key: 'oracle-top-k beside it', method: oracleTopK, params: {}, keptFraction: 0.25 },
];

/** The subject's settings at several budgets. */
const atBudgets = (subject: Subject): BenchSetting[] =>
  subject.method.budgetAxis === 'none'
    ? [settingFor(subject)]
    : [0.5, 0.75, 1].map((share) => settingFor(subject, share, `${share}`));

export const rowChecks: readonly Check[] = [
  {
    property: 'C1',
    title: 'nothing lives outside the declared state: fresh hooks before every call give the same',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const kept = await runOne(bench, request());
        const forgetful = await runOne(bench, request({ freshHooks: true }));
        assert.deepEqual(fingerprint(forgetful), fingerprint(kept));
      }),
  },
  {
    property: 'C2',
    title: 'hooks reach for no clock, chance, environment, network or file, and leave no globals',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const { subject } = facts;
        const closed = { ...settingFor(subject), method: isolated(subject.method) };
        const plain = await runOne(bench, request());
        assert.deepEqual(fingerprint(await runOne(bench, request({ settings: [closed] }))), fingerprint(plain));
      }),
  },
  {
    property: 'C5',
    title: 'the same seed gives the same bits; another seed changes methods that declare randomness, and no others',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const once = fingerprint(await runOne(bench, request()));
        assert.deepEqual(fingerprint(await runOne(bench, request())), once);
        const other = fingerprint(await runOne(bench, request({ sampleSeed: 6 })));
        if (facts.subject.randomised === undefined) assert.deepEqual(other, once);
        else assert.notDeepEqual(other, once);
      }),
  },
  {
    property: 'C6',
    title: 'a row alone equals the row among others, in any order, with other budgets beside it',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const own = atBudgets(facts.subject);
        const alone = new Map<string, object>();
        for (const setting of own)
          alone.set(setting.key, fingerprint(await runOne(bench, request({ settings: [setting] }))));
        for (const settings of [[...own, ...neighbours], [...neighbours, ...own.toReversed()], own.toReversed()]) {
          for (const row of await runAll(bench, request({ settings }))) {
            const expected = alone.get(row.key);
            if (expected !== undefined)
              assert.deepEqual(fingerprint(row), expected, `${row.key} among ${settings.length}`);
          }
        }
      }),
  },
  {
    property: 'C7',
    title: 'forked from a shared prefill equals a prefill of its own',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const settings = [...atBudgets(facts.subject), ...neighbours];
        const shared = await runAll(bench, request({ settings }));
        const apart = await runAll(bench, request({ settings, standAlone: true }));
        assert.deepEqual(apart.map(fingerprint), shared.map(fingerprint));
      }),
  },
  {
    property: 'C8',
    title: 'changesPrefill tells the truth',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const [own, plain] = await runAll(bench, request({ settings: [settingFor(facts.subject), denseSetting] }));
        if (facts.declared.changesPrefill) assert.notEqual(own!.hashes.prefilled, plain!.hashes.prefilled);
        else assert.equal(own!.hashes.prefilled, plain!.hashes.prefilled);
      }),
  },
  {
    property: 'C9',
    title: 'a fork that steps on leaves its origin alone, whichever is freed first',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const before = bench.memory();
        for (const originFirst of [true, false]) {
          const [origin] = await bench.begin(request({ maxNewTokens: 12 }));
          const untouched = origin!.hash();
          const fork = origin!.fork();
          assert.deepEqual(fork.hash(), untouched);
          for (const id of tokenIds(9, 4)) await fork.step(Int32Array.of(id));
          assert.notEqual(fork.hash().cache, untouched.cache);
          assert.deepEqual(origin!.hash(), untouched);
          const [left, gone] = originFirst ? [fork, origin!] : [origin!, fork];
          const stays = left.hash();
          gone.free();
          assert.deepEqual(left.hash(), stays);
          await left.step(Int32Array.of(7));
          left.free();
        }
        assert.equal(bench.memory().cacheBytes, before.cacheBytes, 'cache pages are given back');
      }),
  },
  {
    property: 'C10',
    title: 'a rejected draft leaves no trace, and an accepted part of one equals feeding that part',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const [session] = await bench.begin(request({ maxNewTokens: 24 }));
        const before = session!.hash();
        await session!.step(tokenIds(9, 4), 0);
        assert.deepEqual(session!.hash(), before, 'all rejected');
        // A selector reads one set for all queries of a step, so that a step of fewer queries may read another one.
        if (facts.hooks.decode?.select === undefined) {
          const twin = session!.fork();
          await session!.step(tokenIds(9, 4), 2);
          await twin.step(tokenIds(9, 2));
          assert.deepEqual(session!.hash(), twin.hash(), 'two of four accepted');
          twin.free();
        }
        session!.free();
      }),
  },
  {
    property: 'C11',
    title: 'the size of a prefill chunk does not matter',
    exempt: actsOnText,
    run: (facts) =>
      onEach(facts, async (bench, request) => {
        const whole = fingerprint(await runOne(bench, request()));
        for (const prefillChunk of [5, 64])
          assert.deepEqual(
            fingerprint(await runOne(bench, request({ prefillChunk }))),
            whole,
            `chunks of ${prefillChunk}`,
          );
      }),
  },
  {
    property: 'C13',
    title: 'query-agnostic means agnostic: question and evidence do not touch the compressed context',
    exempt: actsOnText,
    run: async (facts) => {
      for (const bench of facts.benches) {
        const compressed = async (change: Partial<BenchRequest>): Promise<object> => {
          const { hashes, kept } = await runOne(
            bench,
            requestFor(facts.subject, { protocol: 'query-agnostic', ...change }),
          );
          return { cache: hashes.compressedCache, state: hashes.compressedState, kept };
        };
        const asked = await compressed({});
        assert.deepEqual(
          await compressed({ questionIds: tokenIds(77, QUESTION_TOKENS + 5) }),
          asked,
          'another question',
        );
        const elsewhere = await compressed({ evidence: [{ start: 30, end: 33 }] });
        if (
          facts.subject.method.control === true &&
          facts.declared.needs.some((need) => 'view' in need && need.view === 'evidence')
        ) {
          assert.notDeepEqual(elsewhere, asked, 'a control that sees evidence');
        } else assert.deepEqual(elsewhere, asked, 'other evidence');
      }
    },
  },
  {
    property: 'C34',
    title: 'a hook that throws fails its own row with a code; the others never notice',
    exempt: (facts) =>
      first(actsOnText(facts), places(facts).length === 0 ? 'has no hooks that could throw' : undefined),
    run: async (facts) => {
      for (const bench of facts.benches) {
        const request = requestFor(facts.subject, { settings: [...neighbours] });
        const expected = (await runAll(bench, request)).map(fingerprint);
        for (const place of places(facts)) {
          const broken = { ...settingFor(facts.subject), key: 'broken', method: throwing(facts.subject.method, place) };
          const [failed, ...rest] = await bench.run({ ...request, settings: [broken, ...neighbours] });
          assert.equal(failed!.status, 'failed', place);
          assert.match(failed!.status === 'failed' ? failed!.error.code : '', /^ERR_/);
          assert.deepEqual(
            rest.map((row) => (row.status === 'ok' ? fingerprint(row) : row.error)),
            expected,
            place,
          );
        }
      }
    },
  },
];

const places = ({ hooks }: CheckFacts): string[] => [
  ...(hooks.prefill?.plan === undefined ? [] : ['prefill.plan']),
  ...(hooks.cache?.finishPrefill === undefined ? [] : ['cache.finishPrefill']),
  ...(hooks.cache?.maintain === undefined ? [] : ['cache.maintain']),
  ...(hooks.decode?.select === undefined ? [] : ['decode.select']),
];

const throwing = (method: Method, place: string): Method =>
  watchHooks(method, (at, args, call) => {
    if (at === place) throw new Error(`${place} broke on purpose`);
    return call(args);
  });
