/** Tasks over datasets: on small files of each layout that are written here, and on samples of the real sets where they lie beside the project. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { type OpenDataset, openDatasets } from '../../datasets/index.js';
import { missingData } from '../../datasets/published-data.js';
import type { Sample } from '../contract.js';
import { scorerById } from '../scorers/index.js';
import { findTask, tasks } from './index.js';
import { wordMeter } from './word-meter.js';

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-sets-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, lines: readonly unknown[]): string => {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
const data = new URL('../../../shared/data/', import.meta.url).pathname;
const draw = (
  id: string,
  from: string | OpenDataset,
  { params = {}, length = 1200, samples = 4, seed = 1 } = {},
): Sample[] => {
  const task = findTask(id)!;
  const datasets = typeof from === 'string' ? openDatasets({ from }) : from;
  return [...task.generate({ params: task.parse(params), length, samples, seed, meter: wordMeter(), datasets })];
};
const evidenceOf = ({ context, evidence }: Sample): string[] =>
  evidence.map(({ start, end }) => context.slice(start, end));
const fails = (what: () => unknown, code: string, pattern: RegExp): void => {
  assert.throws(what, (error) => {
    assert.ok(error instanceof WinnowError && error.code === code, String(error));
    assert.match(error.message, pattern);
    return true;
  });
};

const paragraph = (i: number, name: string) => [
  `${name} ${i}`,
  [`${name} ${i} is the first.`, ` It has number ${i}.`, ' It ends.'],
];
/** Question i: paragraphs "Lake i" and "Hill i" answer it, six others do not. */
const hotpot = (i: number) => ({
  _id: `q${i}`,
  question: `What number do Lake ${i} and Hill ${i} share?`,
  answer: `number ${i}`,
  type: 'bridge',
  supporting_facts: [
    [`Hill ${i}`, 1],
    [`Lake ${i}`, 1],
    [`Hill ${i}`, 9],
  ],
  context: [
    paragraph(i, 'Lake'),
    ...Array.from({ length: 6 }, (_, k) => paragraph(1000 + 10 * i + k, 'Road')),
    paragraph(i, 'Hill'),
  ],
});
const questions = Array.from({ length: 30 }, (_, i) => hotpot(i));

test('HotpotQA: supporting sentences are the evidence, needed paragraphs stay at any length, and the length is filled with others', () => {
  const file = write('hotpot.json', [JSON.stringify(questions)]);
  for (const length of [150, 300, 3000]) {
    for (const sample of draw('hotpotqa', file, { length, params: { records: 'file' } })) {
      const i = Number(sample.id);
      assert.deepEqual(new Set(evidenceOf(sample)), new Set([`It has number ${i}.`]));
      assert.equal(sample.evidence.length, 2, 'a fact beyond the end of a paragraph is no evidence');
      assert.deepEqual(sample.references, [`number ${i}`]);
      assert.ok(wordMeter().countPrompt(sample) <= length - sample.maxNewTokens);
      assert.equal(sample.documents.length, sample.documentIds!.length);
      const gold = sample.documents.filter(({ start, end }) =>
        sample.evidence.some((span) => span.start >= start && span.end <= end),
      );
      assert.equal(gold.length, 2);
      for (const { start, end } of gold)
        assert.match(sample.context.slice(start, end), new RegExp(`(Lake|Hill) ${i}\n`));
    }
  }
  const [long] = draw('hotpotqa', file, { length: 20_000 });
  assert.equal(long!.meta.repeatedDocuments, true, 'a small set comes round again, and says so');
  assert.equal(draw('hotpotqa', file, { samples: 100 }).length, 30, 'there are as many samples as records');
});

test('paragraphs of other questions never hold the answer nor repeat a title', () => {
  const file = write('hotpot.json', [JSON.stringify(questions)]);
  for (const sample of draw('hotpotqa', file, { length: 2000, samples: 30 })) {
    const answer = new RegExp(`${sample.references[0]}(?!\\d)`, 'g');
    assert.equal(sample.context.match(answer)?.length, 2);
    const titles = sample.documents.map(({ start, end }) =>
      sample.context
        .slice(start, end)
        .split('\n')[0]!
        .replace(/^\S+ \S+ /, ''),
    );
    assert.equal(new Set(titles).size, titles.length);
  }
});

test('the order of records is that of the file, or one for each seed', () => {
  const file = write('hotpot.json', [JSON.stringify(questions)]);
  const asked = (order: string, seed: number) =>
    draw('hotpotqa', file, { params: { records: order }, seed, samples: 30 }).map(({ question }) => question);
  assert.deepEqual(asked('file', 1), asked('file', 2));
  assert.match(asked('file', 1)[7]!, /Lake 7 /);
  assert.notDeepEqual(asked('shuffled', 1), asked('shuffled', 2));
  assert.deepEqual(asked('shuffled', 1).sort(), asked('file', 1).sort());
});

test('all spellings of the layout give the same samples: pairs, tables, objects, texts of JSON, with scores', () => {
  const file = write('hotpot.json', [JSON.stringify(questions)]);
  const wanted = draw('hotpotqa', file);
  const spellings: Record<string, (one: ReturnType<typeof hotpot>) => unknown> = {
    tables: ({ context, supporting_facts: facts, ...one }) => ({
      ...one,
      context: { title: context.map(([title]) => title), sentences: context.map(([, sentences]) => sentences) },
      supporting_facts: { title: facts.map(([title]) => title), sent_id: facts.map(([, sentence]) => sentence) },
    }),
    objects: ({ context, supporting_facts: facts, ...one }) => ({
      ...one,
      context: context.map(([title, content]) => ({ title, content })),
      supporting_facts: facts.map(([title, sent_id]) => ({ title, sent_id })),
    }),
    texts: ({ context, supporting_facts: facts, ...one }) => ({
      ...one,
      context: JSON.stringify(context),
      supporting_facts: JSON.stringify(facts),
    }),
    scores: ({ context, ...one }) => ({
      ...one,
      context: context.map(([title, sentences]) => [title, [sentences, 12.5]]),
    }),
  };
  for (const [name, spell] of Object.entries(spellings)) {
    const other = write(`${name}.jsonl`, questions.map(spell));
    assert.deepEqual(draw('hotpotqa', other), wanted, name);
    assert.equal(draw('2wikimultihopqa', other).length, 4, name);
  }
});

test('MuSiQue: paragraphs follow the decomposition, aliases are references', () => {
  const record = {
    question: 'Where was the founder of X born?',
    answer: 'Rome',
    answer_aliases: ['Roma', 'Rome'],
    paragraphs: [
      { idx: 0, title: 'Y', paragraph_text: 'Y was born in Rome.', is_supporting: true },
      { idx: 1, title: 'Z', paragraph_text: 'Z is a hill.', is_supporting: false },
      { idx: 2, title: 'X', paragraph_text: 'Y founded X.', is_supporting: true },
    ],
    question_decomposition: [{ paragraph_support_idx: 2 }, { paragraph_support_idx: 0 }],
  };
  const file = write('musique.jsonl', [record, record]);
  const [sample] = draw('musique', file, { params: { order: 'forward' } });
  assert.deepEqual(evidenceOf(sample!), ['Y founded X.', 'Y was born in Rome.']);
  assert.deepEqual(evidenceOf(draw('musique', file, { params: { order: 'backward' } })[0]!), [
    'Y was born in Rome.',
    'Y founded X.',
  ]);
  assert.deepEqual(sample!.references, ['Rome', 'Roma']);
  assert.equal(sample!.meta.hops, 2);
  assert.match(sample!.context, /Z is a hill/);
});

const passage = (i: number) => ({
  question: `who wrote book ${i}`,
  answers: [`Author Number${i}`],
  ctxs: [
    { title: `Book ${i}`, text: `Book ${i} is long. It was written by Author Number${i} in a year. It has pages.` },
  ],
});

test('Lost in the Middle: the passage that answers stands at the place that is asked for, among passages without the answer', () => {
  const file = write(
    'nq.jsonl',
    Array.from({ length: 40 }, (_, i) => passage(i)),
  );
  for (const goldPosition of [0, 4, 9]) {
    for (const sample of draw('nq_multidoc', file, { params: { documents: 10, goldPosition } })) {
      assert.equal(sample.documents.length, 10);
      const { start, end } = sample.documents[goldPosition]!;
      assert.ok(sample.evidence[0]!.start > start && sample.evidence[0]!.end <= end);
      assert.match(evidenceOf(sample)[0]!, /^It was written by Author Number\d+ in a year\.$/);
      assert.equal(scorerById('lost-in-the-middle/qa').score(`It was ${sample.references[0]}.\nX`, sample), 1);
    }
  }
  fails(() => findTask('nq_multidoc')!.parse({ goldPosition: 3 }), 'ERR_SUITE', /together with documents/);
  fails(() => findTask('nq_multidoc')!.parse({ documents: 10, goldPosition: 10 }), 'ERR_SUITE', /below documents/);
  fails(
    () => draw('nq_multidoc', file, { params: { documents: 30 }, length: 300 }),
    'ERR_SUITE',
    /room for 30 documents/,
  );
});

test('MultiHop-RAG: facts are marked in passages of their articles, questions without an answer are scored for abstention', () => {
  const article = (i: number) => ({
    title: `News ${i}`,
    source: 'Paper',
    published_at: '2023-10-01T00:00:00',
    body: `Intro ${i}. ${'Words go on. '.repeat(60)}The fact of ${i} is true. ${'More words. '.repeat(60)}`,
  });
  const evidence = (i: number) => ({
    fact: `The fact of ${i} is true.`,
    title: `News ${i}`,
    source: 'Paper',
    published_at: '2023-10-01T00:00:00',
  });
  write('corpus.json', [JSON.stringify(Array.from({ length: 20 }, (_, i) => article(i)))]);
  const file = write('MultiHopRAG.json', [
    JSON.stringify([
      {
        query: 'Is it so?',
        answer: 'Yes',
        question_type: 'comparison_query',
        evidence_list: [evidence(1), evidence(2)],
      },
      { query: 'Is it not?', answer: 'Insufficient information.', question_type: 'null_query', evidence_list: [] },
    ]),
  ]);
  // A corpus of another size than the manifest's is refused, so the whole folder is not checked here: facts alone.
  const [answered, unanswered] = draw('multihop_rag', file, { params: { records: 'file', passages: 'fact' } });
  assert.deepEqual(evidenceOf(answered!).sort(), ['The fact of 1 is true.', 'The fact of 2 is true.']);
  assert.match(answered!.context, /Document \d+: News 1, Paper, 2023-10-01\n/);
  const { score } = scorerById('exact-or-abstain');
  assert.equal(score('Yes.', answered!), 1);
  assert.equal(score('Insufficient information', answered!), 0);
  assert.equal(unanswered!.evidence.length, 0);
  assert.equal(score('There is not enough information.', unanswered!), 1);
  assert.equal(score('Yes', unanswered!), 0);
});

const stories = [
  '1 Mary went to the garden.',
  '2 John went to the office.',
  '3 Where is Mary? \tgarden\t1',
  '4 Mary went to the kitchen.',
  '5 Where is Mary? \tkitchen\t4',
  '1 Ann is here.',
  '2 Is Ann here? \tyes\t1',
];

test('BABILong: facts of one question stand in their order in the text, and those it needs are marked', () => {
  const file = write('qa1.txt', stories);
  const all = draw('babilong_qa1', file, { length: 600, samples: 9, params: { records: 'file', haystack: 'essay' } });
  assert.equal(all.length, 3);
  assert.deepEqual(all.map(evidenceOf), [
    ['Mary went to the garden.'],
    ['Mary went to the kitchen.'],
    ['Ann is here.'],
  ]);
  const told = all[1]!.context;
  const places = ['Mary went to the garden.', 'John went to the office.', 'Mary went to the kitchen.'].map((fact) =>
    told.indexOf(fact),
  );
  assert.ok(places[0]! > 0 && places[0]! < places[1]! && places[1]! < places[2]!, 'the other question is left out');
  assert.ok(!told.includes('Where is'));
  assert.ok(wordMeter().countPrompt(all[1]!) > 500, 'the length is filled');
  for (const line of ['3 Where is Mary? \tgarden\t7', 'Mary went', '9 Late fact.'])
    fails(
      () => draw('babilong_qa1', write('bad.txt', ['1 A is here.', '2 B is here.', line])),
      'ERR_DATASET_FORMAT',
      /qa1_single-supporting-fact_test\.txt:3: /,
    );
});

test('RULER questions come from the set where it is there, from the generated world otherwise, and say so', () => {
  const article = (i: number) => ({
    title: `Article_${i}`,
    paragraphs: Array.from({ length: 5 }, (_, p) => ({
      context: `Paragraph ${p} of ${i}. The colour of thing${i}x${p} is shade${i}y${p}. The end.`,
      qas: [
        {
          question: `What colour is thing${i}x${p}?`,
          answers: [{ text: `shade${i}y${p}`, answer_start: 0 }],
          is_impossible: false,
        },
        { question: 'What is not said?', answers: [], is_impossible: true },
      ].map((qa) => ({
        ...qa,
        answers: qa.answers.map(({ text }) => ({
          text,
          answer_start: `Paragraph ${p} of ${i}. The colour of thing${i}x${p} is `.length,
        })),
      })),
    })),
  });
  const file = write('dev-v2.0.json', [
    JSON.stringify({ version: 'v2.0', data: Array.from({ length: 6 }, (_, i) => article(i)) }),
  ]);
  const samples = draw('qa_1', file, { samples: 99, length: 700 });
  assert.equal(samples.length, 30, 'questions without an answer are left out');
  for (const sample of samples) {
    assert.equal(sample.meta.source, 'squad-v2');
    assert.match(evidenceOf(sample)[0]!, /^The colour of thing\dx\d is shade\dy\d\.$/);
    assert.ok(evidenceOf(sample)[0]!.includes(sample.references[0]!));
  }
  const nothing = openDatasets({ from: mkdtempSync(path.join(folder, 'empty-')) });
  for (const id of ['qa_1', 'qa_2']) {
    const [sample] = draw(id, nothing);
    assert.equal(sample!.meta.source, 'world');
    assert.ok(evidenceOf(sample!).some((text) => text.includes(sample!.references[0]!)));
    fails(
      () => draw(id, nothing, { params: { source: 'dataset' } }),
      'ERR_MISSING',
      /winnow datasets pull (squad-v2|hotpotqa)/,
    );
  }
});

test('a record with a missing field or of another type is one error with file, line and field', () => {
  const bad = (field: object) => write('bad.jsonl', [hotpot(0), { ...hotpot(1), ...field }]);
  const order = { params: { records: 'file' } };
  fails(
    () => draw('hotpotqa', bad({ answer: 7 }), order),
    'ERR_DATASET_FORMAT',
    /bad\.jsonl:2 answer: expected .*text/,
  );
  fails(() => draw('hotpotqa', bad({ question: '' }), order), 'ERR_DATASET_FORMAT', /bad\.jsonl:2 question/);
  fails(() => draw('hotpotqa', bad({ context: [] }), order), 'ERR_DATASET_FORMAT', /bad\.jsonl:2 context/);
  fails(() => draw('hotpotqa', write('no.jsonl', [{ a: 1 }])), 'ERR_DATASET_FORMAT', /no\.jsonl:1 question/);
});

test('a task over a dataset that was not pulled says which command brings it', () => {
  const nothing = openDatasets({ from: mkdtempSync(path.join(folder, 'none-')) });
  const over = tasks().filter(({ datasets }) => datasets !== undefined);
  assert.ok(over.length >= 25);
  for (const { id, datasets } of over) {
    const dataset = datasets![0]!.split('/')[0]!;
    fails(() => draw(id, nothing), 'ERR_MISSING', new RegExp(`winnow datasets pull ${dataset}[, ]`));
  }
});

const published: Readonly<Record<string, readonly [task: string, file: string, params?: object]>> = {
  'HotpotQA, one sample': ['hotpotqa', 'hotpotqa/dev_distractor_sample_100.jsonl'],
  'HotpotQA, another sample': ['hotpotqa', 'hotpotqa/reflexion_distractor_sample_100.jsonl'],
  'MuSiQue passages': ['musique', 'musique/cacheblend_musique_150.jsonl.gz'],
  'MultiHop-RAG queries': ['multihop_rag', 'multihop_rag/queries_500_with_evidence.jsonl.gz'],
  'NQ passages': ['nq_multidoc', 'lost_in_the_middle/nq-open-oracle.jsonl.gz'],
  'SQuAD, half of it': ['qa_1', 'squad/cs224n-dev-v2.0.json'],
  'HotpotQA for RULER': ['qa_2', 'hotpotqa/dev_distractor_sample_100.jsonl'],
  ...Object.fromEntries(
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20].map((i) => {
      const [dataset] = findTask(`babilong_qa${i}`)!.datasets!;
      return [`bAbI ${i}`, [`babilong_qa${i}`, dataset!, { haystack: 'essay' }] as const];
    }),
  ),
};

for (const [name, [id, file, params = {}]] of Object.entries(published)) {
  test(`published data: every sample of ${name} is whole, fits, and its references score`, {
    skip: missingData(file),
  }, () => {
    const all = draw(id, data + file, { params, length: 8000, samples: id.startsWith('babilong') ? 60 : 40 });
    const meter = wordMeter();
    for (const sample of all) {
      assert.ok(meter.countPrompt(sample) <= 8000 - sample.maxNewTokens);
      assert.equal(
        scorerById(findTask(id)!.scorer).score(sample.references[0]!, sample),
        1,
        `${sample.references} ${sample.question}`,
      );
      let last = 0;
      for (const { start, end } of sample.evidence) {
        assert.ok(start >= last && end > start && end <= sample.context.length);
        last = end;
      }
    }
    const answered = all.filter(
      ({ references, evidence }) => evidence.length > 0 && !/^(yes|no)$/i.test(references[0]!),
    );
    const found = answered.filter((sample) =>
      sample.references.some((one) => evidenceOf(sample).join(' ').toLowerCase().includes(one.toLowerCase())),
    );
    if (['hotpotqa', 'nq_multidoc', 'qa_1', 'qa_2'].includes(id))
      assert.ok(
        found.length >= 0.85 * answered.length,
        `the evidence of ${found.length} of ${answered.length} samples has the answer in its words`,
      );
  });
}
