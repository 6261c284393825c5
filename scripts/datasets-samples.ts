/** `winnow datasets show` and `generate`: samples of a task as a run would make them. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import picocolors from 'picocolors';
import { type ExitCode, WinnowError } from '../core/errors.js';
import { diskError, writeAll } from '../core/files.js';
import { suggestName } from '../core/nearest-name.js';
import { openDatasets } from '../datasets/index.js';
import { createTokenMeter } from '../engine/prompt-meter.js';
import { loadTokenizer } from '../engine/tokenizer.js';
import type { Sample, Task, TokenMeter } from '../suites/contract.js';
import { findTask, taskIds } from '../suites/index.js';
import { highlight, type Marks } from './highlight.js';
import { findOrPullModel } from './open-model.js';
import type { Terminal } from './terminal.js';

export interface SamplesOrder {
  readonly task: string;
  readonly from: string | undefined;
  readonly length: number | undefined;
  readonly sample: number | undefined;
  readonly samples: number | undefined;
  readonly seed: number | undefined;
  readonly params: string | undefined;
  readonly model: string | undefined;
  readonly out: string | undefined;
  readonly json: boolean;
}

const marks: Marks = { start: '⟦', end: '⟧' };
const colours: Marks = { start: '\u001b[1;30;43m', end: '\u001b[0m' };

/** Prints one sample with its evidence marked, its token count and what counted it. */
export const showSample = async (order: SamplesOrder, terminal: Terminal): Promise<ExitCode> => {
  const { task, meter, model, open, made } = await prepare(order, terminal);
  const index = order.sample ?? 0;
  const [sample] = made({ first: index, samples: index + 1 });
  if (sample === undefined)
    throw new WinnowError('ERR_USAGE', '--sample', `a sample that ${task.id} has`, index, 'Choose a smaller index.');
  const { context, question, answerPrefix, evidence, references, documents, meta, id } = sample;
  const promptTokens = meter.countPrompt(sample);
  const data = open.opened.map(({ dataset, name, sha256, trust }) => ({ dataset, file: name, sha256, trust }));
  const template = sample.chatTemplate === false ? 'no chat template' : `the chat template of ${model}`;
  if (order.json) {
    const prompt = `${context}${question}${answerPrefix}`;
    const more = { context, question, answerPrefix, documents, meta, sampleId: id };
    const about = { tokenizer: meter.tokenizer, template, length: order.length ?? defaultLength, datasets: data };
    const { documentIds, turns, continuation } = sample;
    terminal.printJson({
      prompt,
      promptTokens,
      evidence,
      references,
      ...more,
      documentIds,
      turns,
      continuation,
      ...about,
    });
    return 0;
  }
  const asked = [sample, ...(sample.turns ?? [])];
  const marked = asked.flatMap((turn) => turn.evidence);
  const isColoured = picocolors.isColorSupported && process.stdout.isTTY === true;
  terminal.print(`${highlight(context, marked, isColoured ? colours : marks)}${question}\n${answerPrefix}`);
  for (const turn of sample.turns ?? []) terminal.print(`${turn.question}\n${turn.answerPrefix}`);
  if (sample.continuation !== undefined) terminal.print(sample.continuation);
  terminal.note(`\n${promptTokens} tokens of ${meter.tokenizer}, ${template} and the answer prefix included`);
  if (meta.truncatedTokens !== undefined && meta.truncatedTokens !== 0)
    terminal.note(`${meta.truncatedTokens} tokens were taken out of the middle`);
  if (sample.continuation !== undefined)
    terminal.note(`the given text has ${meter.count(sample.continuation)} tokens, whose probability is measured`);
  for (const [i, turn] of asked.entries()) {
    if (turn.references.length > 0)
      terminal.note(`the answer${asked.length === 1 ? '' : ` of turn ${i + 1}`}: ${turn.references.join(', ')}`);
    for (const { start, end } of turn.evidence)
      terminal.note(`evidence ${start}–${end}: ${JSON.stringify(context.slice(start, end))}`);
  }
  for (const { dataset, file, sha256, trust } of data)
    terminal.note(`from ${dataset}/${file}, sha256 ${sha256} (${trust})`);
  return 0;
};

/** Writes samples as lines of JSON; the file is there whole or not at all. */
export const generateSamples = async (order: SamplesOrder, terminal: Terminal): Promise<ExitCode> => {
  const { out } = order;
  if (out === undefined)
    throw new WinnowError('ERR_USAGE', '--out', 'a file to write', undefined, 'Write --out x.jsonl.');
  const { task, meter, made } = await prepare(order, terminal);
  const partial = `${out}.partial-${process.pid}`;
  const hash = createHash('sha256');
  const tokens: number[] = [];
  try {
    const file = openSync(partial, 'w');
    try {
      for (const sample of made({ samples: order.samples ?? 10 })) {
        terminal.signal.throwIfAborted();
        const promptTokens = meter.countPrompt(sample);
        tokens.push(promptTokens);
        const line = Buffer.from(`${JSON.stringify({ ...sample, promptTokens })}\n`);
        writeAll(file, line);
        hash.update(line);
      }
    } finally {
      closeSync(file);
    }
    renameSync(partial, out);
  } catch (error) {
    rmSync(partial, { force: true });
    throw diskError(out, error);
  }
  tokens.sort((a, b) => a - b);
  const promptTokens = { min: tokens[0], median: tokens[tokens.length >> 1], max: tokens.at(-1) };
  const sha256 = hash.digest('hex');
  const written = {
    task: task.id,
    samples: tokens.length,
    file: out,
    sha256,
    tokenizer: meter.tokenizer,
    promptTokens,
  };
  if (order.json) terminal.printJson(written);
  else
    terminal.print(
      `${out}: ${tokens.length} samples of ${task.id}, ${promptTokens.min}–${promptTokens.max} tokens of ${meter.tokenizer}\n  sha256  ${sha256}`,
    );
  return 0;
};

const defaultLength = 1024;

const prepare = async (order: SamplesOrder, terminal: Terminal) => {
  const task = taskOf(order.task);
  const params = task.parse(jsonOf(order.params));
  const model = await findOrPullModel(order.model, terminal);
  const meter: TokenMeter = createTokenMeter(loadTokenizer(model.path), true);
  const open = openDatasets(order.from === undefined ? {} : { from: order.from });
  const made = (range: { readonly samples: number; readonly first?: number }): Iterable<Sample> =>
    task.generate({
      params,
      length: order.length ?? defaultLength,
      seed: order.seed ?? 0,
      meter,
      datasets: open,
      ...range,
    });
  return { task, meter, model: model.id, open, made };
};

const taskOf = (id: string): Task => {
  const task = findTask(id);
  if (task !== undefined) return task;
  throw new WinnowError('ERR_USAGE', 'winnow datasets', 'a known task', id, suggestName(id, taskIds()));
};

const jsonOf = (text: string | undefined): unknown => {
  if (text === undefined) return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WinnowError('ERR_USAGE', '--params', 'a JSON object', text, (error as Error).message);
  }
};
