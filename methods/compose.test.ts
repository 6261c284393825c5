import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kivi } from './cache/kivi.js';
import { knorm } from './cache/knorm.js';
import { snapkv } from './cache/snapkv.js';
import { tova } from './cache/tova.js';
import { composeMethods } from './compose.js';
import { snapkvQuestKivi } from './composed/snapkv-quest-kivi.js';
import type { Method, Setting, StateView, StepView } from './contract.js';
import { dense } from './control/dense.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { random } from './control/random.js';
import { quest } from './decode/quest.js';
import { naiveOps, naiveSlots } from './naive-ops.js';
import {
  boundaryView,
  budgetOf,
  keptByMethod,
  layerShape,
  modelFacts,
  type PlantedSample,
  plantSample,
  rowsOf,
  settingOf,
  stepView,
} from './naive-views.js';
import { indicesFrom } from './oracle-attention.js';
import { parseParams } from './params.js';
import { sinkWindowPrefill } from './prefill/sink-window.js';

const shapes = [layerShape(), layerShape()];
const model = modelFacts(shapes);
const noFork = { forward: () => Promise.reject(new Error('not used')) };

const settingFor = <P extends object>(method: Method<P>, raw: object, tokens: number, n: number): Setting<P> =>
  settingOf(parseParams(method, raw), budgetOf(tokens, n, method.covers ?? 'context'));

const stepOf = (sample: PlantedSample, tokens: readonly number[], state: StateView): StepView => {
  const budgets = tokens.map((count) => budgetOf(count, sample.contextLength));
  const view = stepView({
    layer: 0,
    shape: sample.shapes[0]!,
    keys: budgets.map(() => sample.keys[0]!),
    queries: budgets.map(() => sample.queries[0]!.slice(-1)),
    rows: rowsOf(sample, budgets),
  });
  return { ...view, state };
};

test('an evictor keeps in a composition what it keeps alone', async () => {
  const raw = { observationWindow: 6 };
  const sample = plantSample(3, shapes, 44, 40);
  const budgets = [budgetOf(12, 40), budgetOf(20, 40)];
  const alone = await keptByMethod(snapkv, parseParams(snapkv, raw), sample, budgets);
  const parts = parseParams(snapkvQuestKivi, { snapkv: raw });
  assert.deepEqual(await keptByMethod(snapkvQuestKivi, parts, sample, budgets), alone);
});

test('the selector reads its share of the survivors, from its own state', () => {
  const composed = composeMethods([{ method: quest, params: { denseLayers: 0 } }, { method: knorm }]);
  assert.equal(composed.id, 'knorm+quest', 'parts stand in the order in which they act');
  const setting = settingFor(composed, { fractions: { quest: 0.25 } }, 128, 512);
  // Of 512 tokens 128 survived; 9 came after the context.
  const sample = { ...plantSample(5, shapes, 137), contextLength: 512 };
  const pages = naiveOps.blockSummary(naiveSlots(0, shapes[0]!, [sample.keys[0]!]), 16);
  const read: string[] = [];
  const state: StateView = {
    read: (name) => {
      read.push(name);
      return pages;
    },
    write: () => assert.fail('quest writes no state'),
    append: () => assert.fail('quest writes no state'),
  };
  const plan = composed.hooks(setting, model).decode!.select!(stepOf(sample, [128], state));
  const { keys } = plan.parts[0]!;
  assert.ok(keys.kind === 'blocks');
  // A quarter of 128 survivors and the 9 later tokens: 41 tokens are 2 pages.
  assert.equal(keys.lists.maxLen, 2);
  assert.deepEqual(read, ['quest.pages']);
  assert.deepEqual(Object.keys(composed.declare(setting, model).state), ['quest.pages']);
});

test('a selector that reads all survivors changes nothing', () => {
  const composed = composeMethods([{ method: knorm }, { method: oracleTopK }]);
  const setting = settingFor(composed, { fractions: { 'oracle-top-k': 1 } }, 20, 40);
  const sample = { ...plantSample(5, shapes, 24), contextLength: 40 };
  const refuse = (): never => assert.fail('no state');
  const none: StateView = { read: refuse, write: refuse, append: refuse };
  const plan = composed.hooks(setting, model).decode!.select!(stepOf(sample, [20], none));
  assert.equal(plan.parts[0]!.keys.kind, 'all');
});

test('a quantiser acts after the evictor and has no budget of its own', async () => {
  const composed = composeMethods([{ method: kivi, params: { residualTokens: 0, groupSize: 16 } }, { method: random }]);
  const setting = settingFor(composed, {}, 80, 160);
  const sample = plantSample(1, shapes, 160);
  const views = shapes.map((_, layer) => boundaryView(sample, layer, rowsOf(sample, [setting.budget]), 0));
  const plan = await composed.hooks(setting, model).cache!.finishPrefill!(views, noFork);
  const kinds = indicesFrom(0, 2).map((layer) =>
    plan.filter((entry) => entry.layer === layer).flatMap((entry) => entry.actions.map((a) => a.kind)),
  );
  assert.deepEqual(kinds, [
    ['keep', 'quantise', 'quantise'],
    ['keep', 'quantise', 'quantise'],
  ]);
  assert.doesNotThrow(() => composed.hooks(setting, model).admit!(views[0]!.rows.sequences[0]!));
});

test('the order in which parts are named does not matter', async () => {
  const sample = plantSample(8, shapes, 60);
  const orders = [
    [knorm, quest, kivi],
    [kivi, knorm, quest],
    [quest, kivi, knorm],
  ].map((parts) => composeMethods(parts.map((method: Method) => ({ method }))));
  const kept = await Promise.all(
    orders.map((method) => keptByMethod(method, parseParams(method, {}), sample, [budgetOf(30, 60)])),
  );
  assert.deepEqual(
    orders.map((method) => method.id),
    ['knorm+quest+kivi', 'knorm+quest+kivi', 'knorm+quest+kivi'],
  );
  assert.deepEqual(kept[1], kept[0]);
  assert.deepEqual(kept[2], kept[0]);
});

test('needs are joined, changesPrefill is the OR, and the first part owns budget and axis', () => {
  const composed = composeMethods([{ method: sinkWindowPrefill }, { method: snapkv }, { method: quest }]);
  const declared = composed.declare(settingFor(composed, {}, 20, 40), model);
  assert.deepEqual(declared.needs, [{ view: 'windowQueries', last: 32 }]);
  assert.equal(declared.changesPrefill, true);
  assert.equal(composed.budgetAxis, 'residentBytes');
  assert.deepEqual(Object.keys(parseParams(composed, {}).fractions), ['quest', 'sink-window-prefill']);
  assert.equal(composeMethods([{ method: tova }, { method: quest }]).covers, 'total');
  assert.equal(composeMethods([{ method: random }, { method: quest }]).control, true);
});

test('parameters given to a part become defaults that a setting may replace one by one', () => {
  const composed = composeMethods([
    { method: snapkv, params: { observationWindow: 8, poolSize: 7 } },
    { method: kivi },
  ]);
  assert.deepEqual(parseParams(composed, { snapkv: { poolSize: 3 } }).snapkv, {
    observationWindow: 8,
    poolSize: 3,
    pool: 'avg',
  });
  assert.throws(() => parseParams(composed, { snapkv: { size: 3 } }), {
    code: 'ERR_PARAM',
    message: /snapkv\+kivi\.snapkv\.size/,
  });
  assert.throws(() => parseParams(composed, { fractions: { kivi: 1 } }), { code: 'ERR_PARAM' });
});

test('two owners of one place, a part that is none, or one part alone cannot be composed', () => {
  const compose =
    (...parts: Method[]) =>
    () =>
      composeMethods(parts.map((method) => ({ method })));
  assert.throws(compose(snapkv, knorm), { code: 'ERR_COMPOSE', message: /at most one evictor.*snapkv and knorm/ });
  assert.throws(compose(quest, oracleTopK), { code: 'ERR_COMPOSE', message: /selector/ });
  assert.throws(compose(snapkv, snapkv), { code: 'ERR_COMPOSE' });
  assert.throws(compose(snapkv, dense), { code: 'ERR_COMPOSE', message: /dense/ });
  assert.throws(compose(snapkv), { code: 'ERR_COMPOSE', message: /at least two parts/ });
});

test('clashes that show only in the declarations name both parts', () => {
  const declared =
    (...parts: Method[]) =>
    () => {
      const composed = composeMethods(parts.map((method) => ({ method })));
      composed.declare(settingFor(composed, {}, 20, 40), model);
    };
  assert.throws(declared(tova, kivi), { code: 'ERR_COMPOSE', message: /tova acts at every step.*kivi/ });
  assert.doesNotThrow(declared(tova, quest));
  const compacting: Method = {
    ...quest,
    id: 'compacting',
    declare: (s, m) => ({
      ...quest.declare(s as never, m),
      layout: { keyRope: 'pre', positions: 'compact', tier: false },
    }),
  } as Method;
  assert.throws(declared(snapkv, compacting), {
    code: 'ERR_COMPOSE',
    message: /layout\.keyRope in snapkv and compacting/,
  });
  const looking: Method = {
    ...quest,
    id: 'looking',
    declare: (s, m) => ({ ...quest.declare(s as never, m), needs: [{ view: 'windowQueries', last: 5 }] }),
  } as Method;
  assert.throws(declared(snapkv, looking), { code: 'ERR_COMPOSE', message: /need windowQueries/ });
});
