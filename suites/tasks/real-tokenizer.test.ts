import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultModelId, findModel } from '../../engine/models.js';
import { preparePrompt, templateOf } from '../../engine/prompt.js';
import { createTokenMeter } from '../../engine/prompt-meter.js';
import { loadTokenizer } from '../../engine/tokenizer.js';
import { tasks } from './index.js';

const model = await findModel(defaultModelId);
const skip =
  model === undefined ? `${defaultModelId} is not in the cache; run: winnow models pull ${defaultModelId}` : false;

test('with the default model, prompts fill every length to within one unit of haystack', { skip }, () => {
  const meter = createTokenMeter(loadTokenizer(model!.path), true);
  for (const task of tasks()) {
    for (const length of [1024, 2048, 4096]) {
      const maxNewTokens = 24;
      for (const sample of task.generate({ params: task.defaults, length, samples: 3, seed: 1, meter, maxNewTokens })) {
        const unused = length - maxNewTokens - meter.countPrompt(sample);
        // The longest sentence of the prose has 33 tokens, a line of two UUIDs up to 70.
        assert.ok(
          unused >= 0 && unused < (task.family === 'key-values' || task.id === 'niah_multikey_3' ? 72 : 36),
          `${task.id} at ${length}: ${unused} tokens are not used`,
        );
      }
    }
  }
});

test('with the default model, the tokens of every evidence span hold its text', { skip }, () => {
  const tokenizer = loadTokenizer(model!.path);
  const meter = createTokenMeter(tokenizer, true);
  for (const task of tasks()) {
    for (const sample of task.generate({
      params: task.defaults,
      length: 900,
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
