/** The command line on small random checkpoints of every family whose layers or tokenizer differ from the default model's. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { type TinyModelOptions, writeTinyModel } from '../engine/tiny-model.js';
import { runWinnow } from './run-winnow.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-families-'));
after(() => rmSync(root, { recursive: true, force: true }));

const shape = { format: 'safetensors', layers: 6, kvHeads: 2, headDim: 32, maxPositions: 2_048 } as const;
const models: Readonly<Record<string, Partial<TinyModelOptions>>> = {
  qwen3: { ...shape, family: 'qwen3', ropeTheta: 1_000_000 },
  gemma2: { ...shape, family: 'gemma2', slidingWindow: 128, attentionSoftCap: 50.5, finalSoftCap: 30.5 },
  gemma3: { ...shape, family: 'gemma3', slidingWindow: 128, ropeTheta: 1_000_000 },
  phi3: { ...shape, family: 'phi3', ropeDims: 24, tiedEmbeddings: false },
};

const flags = ['--samples', '1', '--numerics', 'reference'];

for (const [name, options] of Object.entries(models)) {
  test(`suites/smoke.yaml on a ${name} directory gives every cell`, async () => {
    const model = writeTinyModel(join(root, name), options);
    const out = join(root, `${name}-run`);
    const { code, stderr } = await runWinnow(['run', 'smoke', '--model', model, ...flags, '--out', out], { cwd: root });
    assert.equal(code, 0, stderr);
    const cells: Record<string, string>[] = parse(readFileSync(join(out, 'cells.csv')), { columns: true });
    assert.equal(cells.length, 53);
    // Tokens of tiny tokenizers are short, so that the answer to one question may stand in more of them than half the context.
    for (const { status, method, error } of cells)
      assert.ok(status === 'ok' || (method === 'oracle' && status === 'unsupported'), `${method}: ${error}`);
    assert.ok(cells.filter(({ status }) => status === 'ok').length >= 51);
    // Half of the slots stay in the layers that see everything; layers that slide hold their window and up to two pages.
    const cellOf = (method: string) => cells.find((cell) => cell.method === method && cell.task === 'niah_single_2')!;
    const slots = (method: string): number => Number(cellOf(method).kvCacheBytes) / (2 * 2 * 32 * 4);
    const length = Number(cellOf('dense').contextLength);
    const full = options.slidingWindow === undefined ? 6 : options.family === 'gemma2' ? 3 : 1;
    const dropped = slots('dense') - slots('snapkv');
    assert.ok(dropped > 0.3 * full * length && dropped < 0.5 * full * length, `snapkv drops ${dropped} slots`);
    const rest = slots('snapkv') - full * length;
    const window = options.slidingWindow ?? 0;
    assert.ok(rest < (6 - full) * (window + 128), `dense holds ${slots('dense')} slots`);
  });
}
