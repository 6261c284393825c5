/** logprobs, perplexity and drawn text in processes of their own, on a tiny model. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { writeTinyModel } from '../engine/tiny-model.js';
import { runWinnow } from './run-winnow.js';

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-score-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(path.join(folder, 'model'));
const prompt = path.join(folder, 'prompt.txt');
writeFileSync(prompt, 'the river had risen in the night and the ferry stayed');
const engine = ['--model', model, '--numerics', 'reference'];

const jsonOf = async (...words: string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await runWinnow([...words, ...engine, '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
};

test('logprobs scores each continuation, commas and all, and adds up its tokens', async () => {
  const words = ['logprobs', '--prompt-file', prompt, '--raw', '--continuation', ' on, and', '--continuation', ' x'];
  const { promptTokens, continuations } = await jsonOf(...words);
  assert.ok((promptTokens as number) > 4);
  const [first, second] = continuations as { text: string; total: number; logProbabilities: number[] }[];
  assert.deepEqual([first!.text, second!.text], [' on, and', ' x']);
  assert.ok(Math.abs(first!.total - first!.logProbabilities.reduce((a, b) => a + b, 0)) < 1e-9);
});

test('perplexity agrees with the file of losses that it writes', async () => {
  const out = path.join(folder, 'nll.npy');
  const found = await jsonOf('perplexity', '--text-file', prompt, '--window', '16', '--stride', '8', '--out', out);
  const bytes = readFileSync(out);
  const values = new Float32Array(Uint8Array.from(bytes.subarray(10 + bytes.readUInt16LE(8))).buffer);
  assert.equal(values.length, found.scoredTokens);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  assert.ok(Math.abs(Math.exp(mean) / (found.perplexity as number) - 1) < 1e-5);
  const bits = (mean * values.length) / Math.LN2 / (found.scoredBytes as number);
  assert.ok(Math.abs(bits / (found.bitsPerByte as number) - 1) < 1e-5);
});

test('the seed names the text that generate draws; a seed without sampling and bad numbers are refused', async () => {
  const generate = ['generate', '--prompt-file', prompt, '--raw', '--max-new-tokens', '12'];
  const drawn = async (seed: string) => (await jsonOf(...generate, '--temperature', '1', '--seed', seed)).tokenIds;
  assert.deepEqual(await drawn('1'), await drawn('1'));
  assert.notDeepEqual(await drawn('1'), await drawn('2'));
  for (const bad of [
    ['--seed', '1'],
    ['--temperature', 'hot'],
    ['--top-p', '0'],
  ]) {
    const { code, stderr } = await runWinnow([...generate, ...engine, ...bad]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^\[ERR_USAGE\]/m);
  }
});
