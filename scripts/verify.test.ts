/** A real run of a tiny model, tampered with in every way that a submission could be. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { canonicalJson, sha256Hex } from '../core/canonical-json.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import { loadAddon } from '../native/index.js';
import { writeChecksums } from '../results/checksums.js';
import { encodeSamples, listIds, recordText, runPaths } from '../results/run-files.js';
import type { CellRecord, RunRecord, SampleRecord } from '../results/schema.js';
import { type Verification, verifyRun } from '../results/verify.js';
import { rescore } from '../suites/rescore.js';
import { runWinnow } from './run-winnow.js';

const skip = (() => {
  try {
    loadAddon();
    return false;
  } catch {
    return 'the native addon is not built';
  }
})();

const root = mkdtempSync(join(tmpdir(), 'winnow-verify-'));
after(() => rmSync(root, { recursive: true, force: true }));
const whole = join(root, 'whole');

before(async () => {
  if (skip !== false) return;
  const model = writeTinyModel(join(root, 'model'));
  const flags = ['--method', 'random,snapkv', '--kept-fraction', '0.5', '--samples', '3', '--length', '2k'];
  const words = ['run', 'smoke', '--model', model, '--task', 'niah_single_2', ...flags, '--out', whole];
  const { code, stderr } = await runWinnow([...words, '--numerics', 'reference']);
  assert.equal(code, 0, stderr);
});

let copies = 0;
const tampered = (change: (dir: string) => void): Verification => {
  const dir = join(root, `copy-${copies++}`);
  cpSync(whole, dir, { recursive: true });
  change(dir);
  return verifyRun(dir, rescore);
};

const problemsOf = ({ findings }: Verification): string =>
  findings.map(({ where, problem }) => `${where}: ${problem}`).join('\n');

const refuses = (change: (dir: string) => void, reason: RegExp): void =>
  assert.match(problemsOf(tampered(change)), reason);

const firstCell = (dir: string): string => listIds(runPaths(dir).cells, '.json')[0]!;
const editJson = <T>(file: string, edit: (record: T) => void): void => {
  const record = JSON.parse(readFileSync(file, 'utf8')) as T;
  edit(record);
  writeFileSync(file, recordText(record));
};
const editCell = (dir: string, edit: (record: CellRecord) => void): void =>
  editJson(runPaths(dir).cell(firstCell(dir)), edit);

/** Writes other samples as a careful forger would: with the hash in the cell record and new checksums. */
const forgeSamples = (dir: string, forge: (samples: SampleRecord[]) => SampleRecord[]): void => {
  const path = runPaths(dir).cellSamples(firstCell(dir));
  const lines = gunzipSync(readFileSync(path)).toString().split('\n').slice(0, -1);
  const bytes = encodeSamples(forge(lines.map((line) => JSON.parse(line) as SampleRecord)));
  writeFileSync(path, bytes);
  editCell(dir, (record) => {
    record.samplesSha256 = sha256Hex(bytes);
  });
  writeChecksums(dir);
};

test('a run as it was written passes, with every score computed again', { skip }, () => {
  const verification = tampered(() => {});
  assert.deepEqual(verification.findings, []);
  assert.deepEqual([verification.cells, verification.samples, verification.rescored], [3, 9, 9]);
});

test('a file that was changed, added, removed or replaced by a link is named', { skip }, () => {
  refuses((dir) => writeFileSync(runPaths(dir).csv, 'score\n1\n'), /^cells\.csv: (has|was changed)/m);
  refuses((dir) => writeFileSync(join(dir, 'cells', 'more.json'), '{}'), /cells\/more\.json: is not in checksums/);
  refuses((dir) => rmSync(runPaths(dir).cellSamples(firstCell(dir))), /names a file that is not in the folder/);
  refuses((dir) => rmSync(runPaths(dir).checksums), /checksums\.json: is missing/);
  refuses((dir) => symlinkSync('/etc/hostname', join(dir, 'charts', 'a.svg')), /charts\/a\.svg: is a link/);
  refuses((dir) => writeFileSync(join(dir, 'run.sh'), 'true'), /run\.sh: is no file of a run directory/);
});

test('an edited score is refused, however well the hashes were forged', { skip }, () => {
  const better = (samples: SampleRecord[]): SampleRecord[] =>
    samples.map((one) => (one.status === 'ok' ? { ...one, score: 1 } : one));
  refuses((dir) => forgeSamples(dir, better), /scores 0 by its saved output, the record says 1/);
  const forgeMean = (record: CellRecord): void => {
    record.aggregates!.score = 1;
  };
  refuses((dir) => {
    editCell(dir, forgeMean);
    writeChecksums(dir);
  }, /aggregates do not follow from the samples/);
});

test('a removed, repeated or exchanged sample is refused', { skip }, () => {
  refuses((dir) => forgeSamples(dir, (samples) => samples.slice(1)), /indices are not 0, 1, 2/);
  refuses(
    (dir) => forgeSamples(dir, (samples) => samples.slice(0, 2)),
    /has other samples or references|aggregates do not follow/,
  );
  refuses((dir) => forgeSamples(dir, ([a, b]) => [a!, b!, { ...a!, index: 2 }]), /holds a sample twice/);
  const easier = (one: SampleRecord): SampleRecord => (one.status === 'ok' ? { ...one, references: ['a'] } : one);
  refuses((dir) => forgeSamples(dir, (samples) => samples.map(easier)), /other samples or references/);
  const askedElse = (one: SampleRecord): SampleRecord => ({ ...one, promptHash: '0123456789abcdef' });
  refuses((dir) => forgeSamples(dir, (samples) => samples.map(askedElse)), /was asked other texts/);
});

test('a record of an older version, which says less, passes', { skip }, () => {
  const verification = tampered((dir) => {
    for (const id of listIds(runPaths(dir).cells, '.json')) {
      const record = JSON.parse(readFileSync(runPaths(dir).cell(id), 'utf8')) as CellRecord;
      const path = runPaths(dir).cellSamples(id);
      const lines = gunzipSync(readFileSync(path)).toString().split('\n').slice(0, -1);
      const samples = lines.map((line) => {
        const { promptHash: _, ...older } = JSON.parse(line) as SampleRecord;
        return older as SampleRecord;
      });
      writeFileSync(path, encodeSamples(samples));
      record.samplesSha256 = sha256Hex(encodeSamples(samples));
      writeFileSync(runPaths(dir).cell(id), recordText(record));
    }
    editJson<RunRecord>(runPaths(dir).run, (run) => {
      const { cpu, cores, flags, memoryBytes } = run.machine;
      run.machine = { cpu, cores, flags, memoryBytes };
      run.code = { version: run.code.version };
      run.software = { node: run.software.node, os: run.software.os };
      delete run.load;
      delete run.model.facts;
    });
    writeChecksums(dir);
  });
  assert.deepEqual(verification.findings, []);
});

test('a changed hash, model, plan or state in run.json is refused', { skip }, () => {
  const refusesRun = (edit: (record: RunRecord) => void, reason: RegExp): void =>
    refuses((dir) => {
      editJson(runPaths(dir).run, edit);
      writeChecksums(dir);
    }, reason);
  refusesRun((run) => {
    run.configurationSha256 = '0'.repeat(64);
  }, /configuration was changed/);
  refusesRun((run) => {
    run.model.sha256 = '0'.repeat(64);
  }, /model\.sha256 is not the one/);
  refusesRun((run) => {
    run.status = 'running';
  }, /the run is running, not finished/);
  refusesRun((run) => {
    run.statistics.draws = 10;
  }, /statistics are not those/);
  refusesRun((run) => {
    run.suite.resolved.samples = 1;
  }, /suite\.resolved was changed/);
  refuses((dir) => {
    const id = firstCell(dir);
    rmSync(runPaths(dir).cell(id));
    rmSync(runPaths(dir).cellSamples(id));
    writeChecksums(dir);
  }, /is missing: the plan has this cell/);
});

test('a name that leads out of the folder is not opened', { skip }, () => {
  const { findings } = tampered((dir) =>
    editJson<{ files: Record<string, unknown> }>(runPaths(dir).checksums, ({ files }) => {
      files['../../../etc/passwd'] = { sha256: '0'.repeat(64), bytes: 1 };
    }),
  );
  assert.match(problemsOf({ findings } as Verification), /etc\/passwd"?: names a file that is not in the folder/);
  refuses((dir) => {
    editCell(dir, (record) => {
      record.cell.cellId = '../../outside';
    });
    writeChecksums(dir);
  }, /cells\/.*expected a record of schema version 1/);
});

test('claimed lengths and bombs are refused without the memory they ask for', { skip }, () => {
  const peak = process.memoryUsage().rss;
  refuses((dir) => truncateSync(runPaths(dir).run, 10 * 2 ** 30), /run\.json: has 10737418240 bytes; at most/);
  refuses((dir) => {
    editJson<{ files: Record<string, { bytes: number }> }>(runPaths(dir).checksums, ({ files }) => {
      files['cells.csv']!.bytes = 10 * 2 ** 30;
    });
  }, /cells\.csv: has \d+ bytes, checksums\.json says 10737418240/);
  refuses((dir) => {
    const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20));
    writeFileSync(runPaths(dir).cellSamples(firstCell(dir)), bomb);
    editCell(dir, (record) => {
      record.samplesSha256 = sha256Hex(bomb);
    });
    writeChecksums(dir);
  }, /samples\/.*gzip of JSON lines/);
  refuses((dir) => {
    writeFileSync(runPaths(dir).cell(firstCell(dir)), '['.repeat(1_000_000));
    writeChecksums(dir);
  }, /cells\/.*expected/);
  assert.ok(process.memoryUsage().rss - peak < 700 * 2 ** 20);
});

test('the command says what is wrong and exits with 3', { skip }, async () => {
  const good = await runWinnow(['verify', whole]);
  assert.deepEqual([good.code, good.stderr], [0, '']);
  assert.match(good.stdout, /^As it says: 3 cells, 9 samples, 9 scores computed again\.\n$/);
  const dir = join(root, 'bad');
  cpSync(whole, dir, { recursive: true });
  writeFileSync(runPaths(dir).csv, '');
  const bad = await runWinnow(['verify', dir, '--json']);
  assert.equal(bad.code, 3);
  assert.equal((JSON.parse(bad.stdout) as Verification).findings[0]!.where, 'cells.csv');
  assert.equal(canonicalJson((await runWinnow(['verify', join(root, 'none')])).code), '3');
});

test('a table of an older version, which lacks the newest columns, passes; one with another number does not', {
  skip,
}, () => {
  const table = (edit: (row: string) => string) =>
    tampered((dir) => {
      const path = runPaths(dir).csv;
      writeFileSync(path, readFileSync(path, 'utf8').split('\n').map(edit).join('\n'));
      writeChecksums(dir);
    });
  const shorter = (row: string): string => row.replace(/,[^,]*$/, '');
  assert.deepEqual(table(shorter).findings, []);
  const other = table((row) => shorter(row.startsWith('cellId') ? row : row.replace(/native|reference/, 'neither')));
  assert.match(problemsOf(other), /cells\.csv: is not the table of these records/);
});
