/** Scores of published model outputs, to the digit that was published or that upstream's own code gives on them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { missingData, publishedLines, publishedText } from '../../datasets/published-data.js';
import { scoreFile } from './score-file.js';

const infiniteBench = {
  passkey: 100,
  number_string: 100,
  kv_retrieval: 89,
  longbook_choice_eng: 67.25,
  longbook_qa_eng: 22.44,
  longdialogue_qa_eng: 8.5,
  math_find: 60,
  code_run: 23.25,
  code_debug: 37.06,
};

const longBench = {
  qasper: 11.3566,
  multifieldqa_en: 23.332,
  '2wikimqa': 7.9863,
  gov_report: 20.6043,
  triviaqa: 83.9286,
  passage_count: 0,
  passage_retrieval_en: 6.6667,
  'repobench-p': 42.4348,
};

const babilong = { '1k': 84.8, '4k': 69, '16k': 60.1, '32k': 53.3 };

/** Equal once rounded to `digits` decimals. */
const prints = (score: number, expected: number, digits: number): void =>
  assert.equal(score.toFixed(digits), expected.toFixed(digits));

for (const [task, score] of Object.entries(infiniteBench)) {
  const file = `infinitebench/preds_gpt4_${task}.jsonl.gz`;
  test(`InfiniteBench ${task} of GPT-4 is ${score}`, { skip: missingData(file) ?? false }, () => {
    const lines = publishedLines(file).map(({ prediction, ground_truth: label }) =>
      JSON.stringify({ prediction, references: [label].flat().map(String) }),
    );
    prints(scoreFile(`infinitebench/${task}`, lines).score, score, 2);
  });
}

for (const [dataset, score] of Object.entries(longBench)) {
  const file = `longbench_v1/${dataset}.jsonl.gz`;
  test(`LongBench ${dataset} of the sample outputs is ${score}`, { skip: missingData(file) ?? false }, () => {
    const lines = publishedLines(file).map(({ example_prediction: prediction, answers, all_classes: classes }) =>
      JSON.stringify({ prediction, references: answers, classes }),
    );
    prints(scoreFile(`longbench/${dataset}`, lines).score, score, 4);
  });
}

for (const [length, score] of Object.entries(babilong)) {
  const file = `babilong/phi3mini_qa1_${length}.csv.gz`;
  test(`BABILong qa1 of Phi-3 mini at ${length} is ${score}`, { skip: missingData(file) ?? false }, () => {
    const rows = parse(publishedText(file), { columns: true }) as Record<string, string>[];
    const lines = rows.map(({ output, target, question }) =>
      JSON.stringify({ prediction: output, references: [target], question }),
    );
    prints(scoreFile('babilong/qa1', lines).score, score, 1);
  });
}
