/** `winnow datasets show TASK --length 4k --sample 3` for every task: a prompt, its evidence marked, its true number of tokens. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import { missingData } from '../datasets/published-data.js';
import { defaultModelId, findModel } from '../engine/models.js';
import { generatedTasks, tasks } from '../suites/tasks/index.js';
import { type SamplesOrder, showSample } from './datasets-samples.js';

const model = await findModel(defaultModelId);
const skip =
  model === undefined ? `${defaultModelId} is not in the cache; run: winnow models pull ${defaultModelId}` : false;
const empty = mkdtempSync(join(tmpdir(), 'winnow-show-'));
after(() => rmSync(empty, { recursive: true }));

const show = async (task: string, more: Partial<SamplesOrder> = {}) => {
  const [printed, noted]: [string[], string[]] = [[], []];
  const terminal = {
    signal: new AbortController().signal,
    verbose: false,
    print: (text: string) => void printed.push(text),
    printJson: () => assert.fail('nobody asked for JSON'),
    note: (text: string) => void noted.push(text),
  };
  const given = { from: empty, length: 4096, sample: 3, samples: undefined, seed: undefined, params: undefined };
  const order = { task, ...given, model: undefined, out: undefined, json: false, ...more };
  assert.equal(await showSample(order, terminal), 0);
  return { prompt: printed.join('\n'), notes: noted.join('\n') };
};

const check = ({ prompt, notes }: Awaited<ReturnType<typeof show>>, hasEvidence: boolean): void => {
  const [, tokens = ''] = /^(\d+) tokens of .*, .* and the answer prefix included$/m.exec(notes)!;
  assert.ok(Number(tokens) > 100 && Number(tokens) <= 4096, notes.slice(0, 200));
  assert.match(notes, /^the answer( of turn 1)?: \S|^the given text has \d+ tokens/m);
  if (!hasEvidence) return;
  const marked = [...prompt.matchAll(/⟦([^⟦⟧]+)⟧/g)].map(([, text]) => text!);
  const told = [...notes.matchAll(/^evidence \d+–\d+: (".*")$/gm)].map(([, text]) => JSON.parse(text!) as string);
  assert.ok(marked.length > 0 && told.length >= marked.length);
  for (const text of told)
    assert.ok(
      marked.some((piece) => piece.includes(text)),
      `${text} is marked`,
    );
};

const generated = new Set(generatedTasks().map(({ id }) => id));
/** Tasks of real data that can be shown without it, or from a file beside the project. */
const others: Readonly<Record<string, Partial<SamplesOrder>>> = {
  qa_1: {},
  qa_2: {},
  text_perplexity: { params: '{"text": "essay"}' },
  hotpotqa: { from: 'hotpotqa/dev_distractor_sample_100.jsonl' },
  multihop_rag: { from: 'multihop_rag/queries_500_with_evidence.jsonl.gz' },
  nq_multidoc: { from: 'lost_in_the_middle/nq-open-oracle.jsonl.gz' },
  longbench_v2: { from: 'longbench_v2/short-40.jsonl.gz' },
  qmsum: { from: 'qmsum/test.jsonl.gz' },
  ...Object.fromEntries(
    [1, 2, 3].map((i) => {
      const name = ['qa1_single-supporting-fact', 'qa2_two-supporting-facts', 'qa3_three-supporting-facts'][i - 1];
      return [`babilong_qa${i}`, { from: `babi/${name}_test.txt`, params: '{"haystack": "essay"}' }];
    }),
  ),
};
/** No spans of evidence, or such that the middle cut took. */
const withoutEvidence = ['text_perplexity', 'longbench_v2', 'qmsum'];

suite('datasets show, every task', { skip }, () => {
  for (const { id } of tasks().filter((task) => generated.has(task.id)))
    test(`${id}: a sample is made and shown with its evidence`, async () => check(await show(id), true));

  for (const [id, { from, ...more }] of Object.entries(others)) {
    const missing = from === undefined ? undefined : missingData(from);
    const path = from === undefined ? empty : fileURLToPath(new URL(`../../shared/data/${from}`, import.meta.url));
    test(`${id}: a record is shown`, { skip: missing ?? false }, async () =>
      check(await show(id, { ...more, from: path }), !withoutEvidence.includes(id)),
    );
  }

  for (const { id } of tasks().filter((task) => !generated.has(task.id) && !(task.id in others)))
    test(`${id}: without its data, the command that brings it is told`, async () => {
      await assert.rejects(show(id), (error) => {
        assert.ok(error instanceof WinnowError && error.code === 'ERR_MISSING', String(error));
        assert.match(error.message, /winnow datasets pull [a-z0-9-]+/);
        return true;
      });
    });
});

test('the turns of a conversation are shown with their answers and their evidence', { skip }, async () => {
  const { prompt, notes } = await show('kv_turns', { params: '{"tokens": "numbers", "turns": 3}' });
  assert.equal(prompt.split('What is the value of the key').length, 4);
  for (const turn of [1, 2, 3]) assert.match(notes, new RegExp(`^the answer of turn ${turn}: \\d+$`, 'm'));
  assert.equal(prompt.split('⟦').length, 4);
});
