import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { checkFolder, checkFonts, checkMemory, checkNode } from './machine-checks.js';

test('Node older than 20.19 is a problem with advice', () => {
  for (const version of ['18.20.4', '20.18.9']) {
    const { state, advice } = checkNode(version);
    assert.equal(state, 'problem');
    assert.match(advice!, /20\.19/);
  }
  for (const version of ['20.19.0', '22.0.0']) assert.equal(checkNode(version).state, 'ok');
});

test('a folder that does not exist yet is judged by the nearest one above it', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'winnow-doctor-'));
  try {
    const { state, found } = await checkFolder('results folder', path.join(folder, 'not', 'yet'));
    assert.notEqual(state, 'problem');
    assert.match(found, /GiB free/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a folder that cannot be written is a problem', {
  skip: process.getuid?.() === 0 ? 'root may write everywhere' : false,
}, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'winnow-doctor-'));
  try {
    chmodSync(folder, 0o500);
    assert.equal((await checkFolder('results folder', folder)).state, 'problem');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the font of the charts is installed and memory is told in GiB', async () => {
  assert.equal((await checkFonts()).state, 'ok');
  assert.match((await checkMemory()).found, /^\d+\.\d GiB of \d+\.\d GiB available$/);
});
