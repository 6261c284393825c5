import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignColumns } from './columns.js';

test('columns are as wide as their widest word and lines end without spaces', () => {
  assert.equal(
    alignColumns([
      ['a', 'bb', 'c'],
      ['aaa', 'b', ''],
    ]),
    'a    bb  c\naaa  b',
  );
  assert.equal(alignColumns([]), '');
});
