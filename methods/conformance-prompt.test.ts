/** The checks of prompt methods must fail on methods that break their promises. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks, factsOf } from './conformance.js';
import { subjectOf } from './conformance-subject.js';
import type { Hooks, Method, PromptRequest, PromptResult, Services } from './contract.js';
import { bm25TopK } from './prompt/bm25-top-k.js';

type Build = (request: PromptRequest, use: Services, calls: number) => PromptResult | Promise<PromptResult>;

/** bm25-top-k with another `build`, which is told how often it was called. */
const building = (build: Build): Method => {
  let calls = 0;
  const hooks: Hooks = { prompt: { build: async (request, _index, use) => build(request, use, calls++) } };
  return { ...bm25TopK, hooks: () => hooks };
};

const part = (text: string, start: number) =>
  ({ role: 'document', text, stands: [{ start, end: start + text.length }] }) as const;

const mutants: readonly { readonly fault: string; readonly method: Method }[] = [
  {
    fault: 'feeds every document whatever the budget',
    method: building(({ documents }) => ({ parts: documents.map(({ text, start }) => part(text, start)) })),
  },
  {
    fault: 'changes the text and says that it stands for the documents',
    method: building(({ documents: [one] }) => ({ parts: [part(one!.text.slice(0, 30).toUpperCase(), one!.start)] })),
  },
  {
    fault: 'feeds nothing',
    method: building(() => ({ parts: [] })),
  },
  {
    fault: 'remembers how often it was asked',
    method: building(({ documents }, _use, calls) => {
      const one = documents[calls % 2]!;
      return { parts: [part(one.text.slice(0, 20), one.start)] };
    }),
  },
  {
    fault: 'takes the reply that comes first',
    method: building(async ({ documents }, use) => {
      const two = documents.slice(0, 2);
      const first = await Promise.race(two.map(async (one) => use.embed([one.text], 'single').then(() => one)));
      return { parts: [part(first.text.slice(0, 20), first.start)] };
    }),
  },
];

for (const { fault, method } of mutants) {
  test(`C30 fails on a method that ${fault}`, async () => {
    const facts = factsOf(subjectOf(method, {}));
    await assert.rejects(async () => {
      for (const check of checks) {
        if (check.property === 'C30' && check.exempt?.(facts) === undefined) await check.run(facts);
      }
    }, assert.AssertionError);
  });
}

test('C30 fails on an index that building changes', async () => {
  const method: Method = {
    ...bm25TopK,
    hooks: (setting, model) => {
      const { prompt } = bm25TopK.hooks(setting as never, model);
      return {
        prompt: {
          index: async (documents) => ({ bytes: 1, data: { documents, asked: 0 } }),
          build: async (request, index, use) => {
            const data = index!.data as { documents: PromptRequest['documents']; asked: number };
            const chosen = data.documents[data.asked++ % 2]!;
            return prompt!.build({ ...request, documents: [chosen] }, undefined, use);
          },
        },
      };
    },
  };
  const facts = factsOf(subjectOf(method, {}));
  const check = checks.find(({ property, title }) => property === 'C30' && title.startsWith('an index'))!;
  await assert.rejects(async () => check.run(facts), assert.AssertionError);
});
