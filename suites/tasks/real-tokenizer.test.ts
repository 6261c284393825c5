import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultModelId, findModel } from '../../engine/models.js';
import { preparePrompt, templateOf } from '../../engine/prompt.js';
import { createTokenMeter } from '../../engine/prompt-meter.js';
import { loadTokenizer } from '../../engine/tokenizer.js';
import type { Task } from '../contract.js';
import { generatedTasks } from './index.js';

const model = await findModel(defaultModelId);
/** Tasks of real data have tests of their own. */
const generated = generatedTasks();
const skip =
  model === undefined ? `${defaultModelId} is not in the cache; run: winnow models pull ${defaultModelId}` : false;

/** One unit of haystack: the longest sentence of the prose has 33 tokens, a line of two UUIDs up to 76, a document up to 220. */
const mostUnused = ({ family, id }: Task): number => {
  if (family === 'world' || family === 'global') return 220;
  // A session: up to two requests with four sentences each.
  if (family === 'dialogue') return 320;
  return family === 'key-values' || id === 'niah_multikey_3' ? 80 : 36;
};

test('with the default model, prompts fill every length to within one unit of haystack', { skip }, () => {
  const meter = createTokenMeter(loadTokenizer(model!.path), true);
  for (const task of generated) {
    // The room of a conversation holds all of its turns: turns.test.ts.
    if (task.family === 'multi-turn') continue;
    for (const length of [1500, 4096]) {
      const maxNewTokens = 24;
      for (const sample of task.generate({ params: task.defaults, length, samples: 3, seed: 1, meter, maxNewTokens })) {
        const unused = length - maxNewTokens - meter.countPrompt(sample);
        assert.ok(unused >= 0 && unused < mostUnused(task), `${task.id} at ${length}: ${unused} tokens are not used`);
      }
    }
  }
});

test('with the default model, the tokens of every evidence span hold its text', { skip }, () => {
  const tokenizer = loadTokenizer(model!.path);
  const meter = createTokenMeter(tokenizer, true);
  for (const task of generated) {
    for (const sample of task.generate({
      params: task.defaults,
      length: 2000,
      samples: 3,
      seed: 2,
      meter,
      maxNewTokens: 24,
    })) {
      const { contextIds, evidence } = preparePrompt(
        { ...sample, chatTemplate: true },
        tokenizer,
        templateOf(tokenizer),
      );
      evidence.forEach(({ start, end }, i) => {
        const text = sample.context.slice(sample.evidence[i]!.start, sample.evidence[i]!.end);
        const decoded = tokenizer.decode(contextIds.subarray(start, end));
        assert.ok(decoded.includes(text), `${JSON.stringify(decoded)} holds ${JSON.stringify(text)}`);
        assert.ok(decoded.length <= text.length + 4, 'and little more');
      });
    }
  }
});
