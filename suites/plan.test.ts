import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import type { MethodRef } from '../engine/contract.js';
import type { ResolvedSuite } from './contract.js';
import { type PlanOptions, planSuite } from './plan.js';
import { loadSuite } from './suite-file.js';

const suite: ResolvedSuite = {
  id: 's',
  version: 1,
  question: 'q',
  model: 'm',
  seed: 0,
  samples: 10,
  lengths: [512, 1024],
  tasks: [
    { id: 'niah_single_2', name: 'niah_single_2', params: { haystack: 'essay' }, maxNewTokens: 16 },
    { id: 'two_hop_qa', name: 'two_hop_qa', params: {}, maxNewTokens: 16, lengths: [512] },
  ],
  methods: ['dense', 'snapkv', 'bm25-top-k'].map((id) => ({ id, params: {} })),
  keptFractions: [0.5, 0.25],
  tokenBudgets: [],
  protocols: ['query-aware'],
  chatTemplate: true,
  exclude: [],
};
const facts = ({ id }: MethodRef) => ({ needsOwnPrefill: id === 'bm25-top-k', hasBudget: id !== 'dense' });
const options: PlanOptions = { modelSha256: 'a'.repeat(64), numerics: 'native', facts };
const idsOf = (one: ResolvedSuite, with_: Partial<PlanOptions> = {}) =>
  planSuite(one, { ...options, ...with_ }).cells.map(({ cellId }) => cellId);

test('a cell is one task, length, protocol, method and budget; a method without budget comes once', () => {
  const { cells, groups, prefills, prefillsUnshared, samplesPerCell } = planSuite(suite, options);
  assert.equal(cells.length, 3 * (1 + 2 + 2));
  assert.equal(cells.filter(({ method }) => method.id === 'dense').length, 3);
  assert.deepEqual(
    groups.map(({ taskName, contextLength, cells: members }) => [taskName, contextLength, members.length]),
    [
      ['niah_single_2', 512, 5],
      ['niah_single_2', 1024, 5],
      ['two_hop_qa', 512, 5],
    ],
  );
  assert.equal(samplesPerCell, 10);
  // Per sample of a group: one dense prefill for dense and snapkv, and one for each budget of bm25-top-k.
  assert.equal(prefills, 10 * 3 * 3);
  assert.equal(prefillsUnshared, 10 * 15);
});

test('a group in which every method prefills for itself shares none', () => {
  const own = { ...suite, methods: [{ id: 'bm25-top-k', params: {} }] };
  assert.equal(planSuite(own, options).prefills, planSuite(own, options).prefillsUnshared);
});

test('cell ids are 16 hex digits, all different, and the same every time', () => {
  const ids = idsOf(suite);
  for (const id of ids) assert.match(id, /^[0-9a-f]{16}$/);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(idsOf(structuredClone(suite)), ids);
  // Recorded once: a change of these ids makes finished cells run again, so it must be meant.
  assert.equal(ids[0], '135890da408c7ed7');
});

test('whatever changes results changes every id', () => {
  const ids = idsOf(suite);
  const changed = (other: Partial<ResolvedSuite>, with_: Partial<PlanOptions> = {}) => {
    const others = idsOf({ ...suite, ...other }, with_);
    return others.length === ids.length && others.every((id, i) => id !== ids[i]);
  };
  const longer = suite.tasks.map((task) => ({ ...task, maxNewTokens: 17 }));
  const otherParams = suite.tasks.map((task) => ({ ...task, params: { people: 4 } }));
  assert.ok(
    changed({ version: 2 }) && changed({ seed: 1 }) && changed({ samples: 11 }) && changed({ chatTemplate: false }),
  );
  assert.ok(
    changed({ protocols: ['query-agnostic'] }) && changed({ tasks: longer }) && changed({ tasks: otherParams }),
  );
  assert.ok(changed({ methods: suite.methods.map((method) => ({ ...method, params: { window: 8 } })) }));
  assert.ok(changed({}, { modelSha256: 'b'.repeat(64) }) && changed({}, { numerics: 'reference' }));
  assert.ok(changed({}, { identity: { backend: 'cuda' } }));
  assert.ok(changed({}, { facts: (method) => ({ ...facts(method), identity: 'v2' }) }));
});

test('what does not change results changes no id', () => {
  const ids = idsOf(suite);
  assert.deepEqual(idsOf({ ...suite, question: 'another', model: './elsewhere.gguf' }), ids);
  const fewer = idsOf({ ...suite, methods: suite.methods.slice(0, 2), keptFractions: [0.25], lengths: [512] });
  assert.ok(fewer.every((id) => ids.includes(id)));
  const withFile = (file: string) => [{ ...suite.tasks[0]!, params: { haystack: { file, sha256: 'c'.repeat(64) } } }];
  assert.deepEqual(idsOf({ ...suite, tasks: withFile('./a.txt') }), idsOf({ ...suite, tasks: withFile('/b/a.txt') }));
});

test('excluded cells are left out and listed with their reason', () => {
  const exclude = [
    { method: 'snapkv', when: { task: ['niah_single_2'], keptFraction: [0.25] }, reason: 'too few tokens' },
  ];
  const { cells, excluded } = planSuite({ ...suite, exclude }, options);
  assert.deepEqual(
    excluded.map(({ taskName, contextLength, method, keptFraction, reason }) => [
      taskName,
      contextLength,
      method.id,
      keptFraction,
      reason,
    ]),
    [
      ['niah_single_2', 512, 'snapkv', 0.25, 'too few tokens'],
      ['niah_single_2', 1024, 'snapkv', 0.25, 'too few tokens'],
    ],
  );
  assert.equal(cells.length, 13);
});

test('an exclusion can name parameters, for a method that comes more than once', () => {
  const methods = [2, 4].map((bits) => ({ id: 'kivi', params: { bits, residualTokens: 32 } }));
  const exclude = [{ method: 'kivi', when: { params: { bits: 4 }, keptFraction: [0.25] }, reason: 'too large' }];
  const { cells } = planSuite({ ...suite, methods, exclude }, options);
  const seen = new Set(cells.map(({ method, keptFraction }) => `${method.params.bits} at ${keptFraction}`));
  assert.deepEqual([...seen], ['2 at 0.5', '2 at 0.25', '4 at 0.5']);
});

const layer = {
  mixer: 'softmax',
  numQueryHeads: 9,
  numKvHeads: 3,
  headDim: 64,
  headDimV: 64,
  ropeDims: 64,
  softmaxScale: 0.125,
  fixedStateBytes: 0,
  evictable: true,
} as const;
const model = {
  id: 'tiny',
  maxPositions: 1024,
  elementBytes: 2,
  layers: [
    { ...layer, kvSource: 0 },
    { ...layer, kvSource: 1 },
    { ...layer, kvSource: 1 },
  ],
};

test('bytes are those of the largest group: one dense cache and what the forks keep; a layer that shares its cache has none', () => {
  const perToken = 2 * 3 * 128 * 2;
  assert.equal(planSuite(suite, { ...options, model }).bytes, (1024 + 2 * (512 + 256)) * perToken);
});

const failureOf = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof WinnowError);
    return error.message;
  }
  assert.fail('nothing was thrown');
};

test('a method that needs a budget and a length beyond the model are errors', () => {
  const none = failureOf(() => planSuite({ ...suite, keptFractions: [] }, options));
  assert.match(none, /^\[ERR_SUITE\] s keptFractions: expected at least one budget, which snapkv needs/);
  const long = failureOf(() => planSuite({ ...suite, lengths: [2048] }, { ...options, model }));
  assert.match(long, /^\[ERR_UNSUPPORTED\] niah_single_2 length: expected a length of at most 1024 tokens/);
});

test('every length of RULER has a suite with one set of tasks, and its cells can be planned', async () => {
  const lengths = ['4k', '8k', '16k', '32k', '64k', '128k', '256k', '1m'];
  const loaded = await Promise.all(lengths.map((length) => loadSuite(`ruler-${length}`)));
  const names = loaded.map(({ suite: { tasks } }) => tasks.map(({ name }) => name).join(' '));
  assert.equal(new Set(names).size, 1);
  loaded.forEach(({ suite: one }, i) => {
    assert.deepEqual(one.lengths, [2 ** (12 + i + (i === 7 ? 1 : 0))]);
    const { cells } = planSuite(one, {
      ...options,
      facts: ({ id }) => ({ ...facts({ id, params: {} }), hasBudget: id !== 'dense' }),
    });
    assert.ok(cells.length > 100);
  });
});
