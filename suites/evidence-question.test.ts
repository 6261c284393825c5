import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sample } from './contract.js';
import { askForEvidence, evidenceMeter } from './evidence-question.js';
import { scorerById } from './scorers/index.js';
import { findTask } from './tasks/index.js';
import { wordMeter } from './tasks/word-meter.js';

const world = (params: object = {}, index = 0, ask = true): Sample => {
  const task = findTask('world_2_hop')!;
  const meter = ask ? evidenceMeter(wordMeter()) : wordMeter();
  const order = { params: task.parse(params), length: 1500, samples: index + 1, first: index, seed: 4, meter };
  const [sample] = [...task.generate({ ...order, maxNewTokens: 24 })];
  return ask ? askForEvidence('world_2_hop', sample!) : sample!;
};
const score = (prediction: string, sample: Pick<Sample, 'references' | 'classes'>, id = 'evidence-ids/f1'): number =>
  scorerById(id).score(prediction, { question: '', meta: {}, ...sample });

test('the references are the ids of the documents that hold evidence, the question keeps what is asked', () => {
  for (let index = 0; index < 5; index++) {
    const [asked, plain] = [world({}, index), world({}, index, false)];
    assert.equal(asked.references.length, 2);
    assert.deepEqual(asked.classes, asked.documentIds);
    for (const id of asked.references) {
      const { start, end } = asked.documents[asked.documentIds!.indexOf(id)]!;
      assert.ok(asked.evidence.some((span) => span.start >= start && span.end <= end));
    }
    assert.ok(asked.question.endsWith(plain.question.trim()));
    assert.ok(wordMeter().countPrompt(asked) + 24 <= 1500, 'the longer question has room');
    assert.equal(score(`They are ${asked.references.join(' and ')}.`, asked), 1);
  }
});

test('ids count whole, numbers alone count where all ids are numbered, wrong ones cost', () => {
  const classes = ['Document 1', 'Document 2', 'Document 12'];
  const sample = { references: ['Document 1', 'Document 2'], classes };
  assert.equal(score('Documents 1 and 2', sample), 1);
  assert.equal(score('document 12', sample), 0);
  assert.equal(score('Document 2, Document 12', sample), 0.5);
  assert.equal(score('Document 2, Document 12', sample, 'evidence-ids/recall'), 0.5);
  assert.equal(score('nothing', sample), 0);
  const titles = { references: ['Arno (river)'], classes: ['Arno', 'Arno (river)', 'Arnold'] };
  assert.equal(score('Arnold', { ...titles, references: ['Arnold'] }), 1);
  assert.equal(score('the ARNOLD article', { ...titles, references: ['Arno'] }), 0);
  assert.equal(score('x', { references: [], classes }), 1);
  assert.equal(score('1', { references: [], classes }), 0);
});

test('tasks without named documents, and samples with turns or a continuation, cannot be asked for evidence', () => {
  const sample = world({}, 0, false);
  const { documentIds: _, ...unnamed } = sample;
  const refused = { code: 'ERR_SUITE', message: /x ask/ };
  assert.throws(() => askForEvidence('x', unnamed), refused);
  assert.throws(() => askForEvidence('x', { ...sample, documents: [], documentIds: [] }), refused);
  assert.throws(() => askForEvidence('x', { ...sample, continuation: 'a' }), refused);
  assert.throws(() => askForEvidence('x', { ...sample, turns: [] }), refused);
});
