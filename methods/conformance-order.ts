/** Checks on order: what comes later changes nothing before it, wherever the text stands and however its tokens are fed. */
import assert from 'node:assert/strict';
import { actsOnText, type Check, first } from './conformance-check.js';
import { evicts } from './conformance-choice.js';
import { assertSameLogits, requestFor, runOne, settingFor, tokenIds } from './conformance-subject.js';

export const orderChecks: readonly Check[] = [
  {
    property: 'C12',
    title: 'a later token changes nothing before it',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        facts.declared.changesPrefill ? undefined : 'leaves the prefill alone; C8 compares it with dense',
        facts.hooks.weights === undefined ? undefined : 'has layers of its own, attended as the model does',
      ),
    run: async ({ benches, subject }) => {
      for (const bench of benches) {
        const contextIds = tokenIds(1, subject.contextTokens);
        const last = contextIds.length - 1;
        const captured = async (ids: Int32Array) =>
          (await runOne(bench, requestFor(subject, { contextIds: ids, protocol: 'query-agnostic', capture: true })))
            .captured!;
        const changed = contextIds.slice();
        changed[last] = contextIds[0]!;
        const [before, after] = [await captured(contextIds), await captured(changed)];
        before.forEach(({ keys, values }, layer) => {
          const { numKvHeads } = bench.facts.layers[layer]!;
          for (const [what, own, other] of [
            ['keys', keys, after[layer]!.keys],
            ['values', values, after[layer]!.values],
          ] as const) {
            const width = own.length / numKvHeads / contextIds.length;
            own.forEach((value, i) => {
              if (Math.floor(i / width) % contextIds.length !== last)
                assert.ok(Object.is(value, other[i]), `${what} of layer ${layer} before the changed token differ`);
            });
          }
        });
      }
    },
  },
  {
    property: 'C24',
    title: 'a text that stands further back keeps the same tokens',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        evicts(facts) ? undefined : 'evicts nothing',
        facts.declared.needs.some((need) => 'view' in need && need.view === 'evidence')
          ? 'is told where the evidence stands'
          : undefined,
        facts.declared.layout.positions === 'keep' ? undefined : 'has positions of its own',
      ),
    run: async ({ benches, subject }) => {
      for (const bench of benches) {
        const keptAt = async (firstPosition: number) => {
          const { kept } = await runOne(bench, requestFor(subject, { firstPosition, evidence: [] }));
          return kept.map((layer) => layer.map((head) => Array.from(head, (position) => position - firstPosition)));
        };
        assert.deepEqual(await keptAt(37), await keptAt(0));
      }
    },
  },
  {
    property: 'C27',
    title: 'a step of several tokens is those tokens one by one',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        facts.hooks.decode === undefined ? undefined : 'plans once for all queries of a step',
        facts.hooks.cache?.maintain === undefined ? undefined : 'acts between steps',
        facts.hooks.output === undefined ? undefined : 'edits what is fed',
      ),
    run: async ({ benches, subject }) => {
      for (const bench of benches) {
        const request = requestFor(subject, { settings: [settingFor(subject)], protocol: 'query-agnostic' });
        const [together] = await bench.begin(request);
        const [apart] = await bench.begin(request);
        const ids = tokenIds(9, 5);
        const { logits } = await together!.step(ids, ids.length);
        const single: Float32Array[] = [];
        for (const id of ids) single.push(...(await apart!.step(Int32Array.of(id))).logits);
        assertSameLogits(logits, single);
        together!.free();
        apart!.free();
      }
    },
  },
];
