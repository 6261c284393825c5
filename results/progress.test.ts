import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgress } from './progress.js';

const setUp = (isTty: boolean, columns?: number) => {
  const written: string[] = [];
  let time = 0;
  const progress = createProgress({
    stream: { write: (text) => written.push(text) },
    isTty,
    total: 100,
    now: () => time,
    ...(columns === undefined ? {} : { columns }),
  });
  return { written, progress, wait: (ms: number) => (time += ms) };
};

test('without a terminal one line is written for each group when it ends', () => {
  const { written, progress, wait } = setUp(false);
  progress.group('vt, 1k tokens');
  wait(10_000);
  progress.advance(25);
  assert.deepEqual(written, []);
  progress.group('vt, 2k tokens');
  wait(30_000);
  progress.advance(75);
  progress.end();
  assert.deepEqual(written, [
    'vt, 1k tokens: done (25 % of the run, 30 s left)\n',
    'vt, 2k tokens: done (100 % of the run, 0 s left)\n',
  ]);
});

test('on a terminal one line is drawn over itself, at most ten times a second, and removed at the end', () => {
  const { written, progress, wait } = setUp(true);
  progress.group('vt');
  for (let i = 0; i < 50; i++) {
    wait(10);
    progress.advance(1);
  }
  assert.ok(written.length <= 7, `${written.length} writes in half a second`);
  assert.ok(written.every((text) => text.startsWith('\r\u001b[K') && !text.includes('\n')));
  progress.end();
  assert.equal(written.at(-1), '\r\u001b[K');
});

test('the estimate leaves out what an earlier start had done', () => {
  const { written, progress, wait } = setUp(true);
  progress.skip(50);
  progress.group('vt');
  assert.match(written.at(-1)!, / 50 % {2}time left unknown/);
  wait(5_000);
  progress.advance(25);
  assert.match(written.at(-1)!, / 75 % {2}5 s left/);
});

test('the line is cut to the terminal and notes stay above it', () => {
  const { written, progress } = setUp(true, 40);
  progress.group('a very long name of a task with its length and protocol');
  assert.ok(written.at(-1)!.replace('\r\u001b[K', '').length < 40);
  progress.note('quest failed');
  assert.ok(written.includes('quest failed\n'));
});
