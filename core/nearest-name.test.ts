import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName, suggestName } from './nearest-name.js';

const methods = ['dense', 'random', 'snapkv', 'streaming-llm', 'quest'];

test('slips of the fingers find the name', () => {
  assert.equal(nearestName('snapvk', methods), 'snapkv');
  assert.equal(nearestName('Quests', methods), 'quest');
  assert.equal(nearestName('streamingllm', methods), 'streaming-llm');
});

test('the beginning of a name finds it', () => {
  assert.equal(nearestName('stream', methods), 'streaming-llm');
});

test('a word that is near to nothing finds nothing', () => {
  assert.equal(nearestName('attention', methods), undefined);
  assert.equal(suggestName('attention', methods), 'Known: dense, quest, random, snapkv, streaming-llm.');
});
