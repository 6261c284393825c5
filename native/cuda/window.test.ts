/** The window script over programs that answer as the real ones do on a GPU, and as they do without a driver. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('window.sh', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'winnow-window-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

interface Line {
  readonly step: string;
  readonly status: string;
  readonly seconds: number;
  readonly detail: string;
}

let runs = 0;
/** Steps of the script with shell scripts in the place of programs. */
const runWindow = (
  steps: readonly string[],
  programs: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
): { readonly lines: readonly Line[]; readonly code: number | null } => {
  const bin = join(scratch, `bin-${runs}`);
  mkdirSync(bin);
  for (const [name, text] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/bash\n${text}\n`, { mode: 0o755 });
  const { stdout, status } = spawnSync('bash', [script, ...steps], {
    encoding: 'utf8',
    cwd: scratch,
    env: {
      PATH: process.env.PATH,
      OUT: join(scratch, `out-${runs++}`),
      WINDOW_BIN: bin,
      WINDOW_JOBS: '2',
      COMPUTE_SANITIZER: join(bin, 'compute-sanitizer'),
      ...environment,
    },
  });
  return {
    lines: stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
    code: status,
  };
};

const ok = '{"op":"argmax","case":"1","status":"ok","error":0,"bound":0,"lseError":0,"ms":1.0,"detail":""}';
const wrong = ok.replace('"ok"', '"incorrect"');
const list = '{"op":"argmax","case":"1"}\\n{"op":"argmax","case":"2"}\\n{"op":"rope","case":"1"}\\n';
const noDriver = '{"status":"no-driver","cases":9,"driverError":35,"runtimeVersion":13000}';

suite('the window script', () => {
  test('a passing test is one line with its counts', () => {
    const { lines, code } = runWindow(['test'], { winnow_cuda_test: `echo '${ok}'; echo '{"summary":{"ok":1}}'` });
    assert.equal(code, 0);
    assert.deepEqual(
      lines.map(({ step, status }) => [step, status]),
      [['test', 'ok']],
    );
    assert.match(lines[0]?.detail ?? '', /'ok':1/);
  });

  test('a wrong case fails its step, is named, and spoils the times of its operation; the next step runs', () => {
    const { lines, code } = runWindow(['test', 'bench'], {
      winnow_cuda_test: `echo '${wrong}'; echo '{"summary":{"incorrect":1}}'; exit 1`,
      winnow_cuda_bench: `echo '{"name":"copy","gbps":3000}'; echo '{"name":"x","solution":"y","ms":1}'`,
    });
    assert.equal(code, 1);
    assert.deepEqual(
      lines.map(({ status }) => status),
      ['failed', 'ok'],
    );
    assert.match(lines[0]?.detail ?? '', /argmax 1/);
    assert.match(lines[1]?.detail ?? '', /1 times.*of no worth for: argmax/);
  });

  test('a program that hangs costs its step the time that is left, and later steps say so', () => {
    const { lines, code } = runWindow(
      ['test', 'bench'],
      { winnow_cuda_test: `echo '${ok}'; exec sleep 60`, winnow_cuda_bench: 'echo unreached' },
      { WINDOW_SECONDS: '2' },
    );
    assert.equal(code, 1);
    assert.deepEqual(
      lines.map(({ status }) => status),
      ['timeout', 'timeout'],
    );
  });

  test('the sanitizer sees every operation under every tool, and one finding is named', () => {
    const sanitizer = (finding: string): Record<string, string> => ({
      winnow_cuda_test: `case "$*" in *--list*) printf '${list}';; *) echo '${ok}'; echo '{"summary":{"ok":1}}';; esac`,
      'compute-sanitizer': `tool=$2; shift 4; "$@" && { [ "$tool-$3" != "${finding}" ] || exit 9; }`,
    });
    const clean = runWindow(['sanitizer'], sanitizer('none'));
    assert.equal(clean.code, 0, JSON.stringify(clean.lines));
    assert.match(clean.lines[0]?.detail ?? '', /^6 of 6 clean, 6 cases/);
    const dirty = runWindow(['sanitizer'], sanitizer('racecheck-rope'));
    assert.equal(dirty.code, 1);
    assert.match(dirty.lines[0]?.detail ?? '', /5 of 6 clean.*racecheck-rope\(9\)/);
  });

  test('an operation of which no case ran is not called clean', () => {
    const { lines, code } = runWindow(['sanitizer'], {
      winnow_cuda_test: `case "$*" in *--list*) printf '${list}';; *) echo '{"summary":{"large":3}}';; esac`,
      'compute-sanitizer': 'shift 4; exec "$@"',
    });
    assert.equal(code, 1);
    assert.match(lines[0]?.detail ?? '', /^0 of 6 clean/);
  });

  test('without a driver every step says so and nothing has failed', () => {
    const { lines, code } = runWindow(['test', 'sanitizer', 'bench'], {
      winnow_cuda_test: `echo '${noDriver}'`,
      winnow_cuda_bench: `echo '${noDriver}'`,
    });
    assert.equal(code, 0);
    assert.deepEqual(
      lines.map(({ status }) => status),
      ['no-driver', 'no-driver', 'no-driver'],
    );
  });

  test('an unknown step is refused before any runs', () => {
    const { lines, code } = runWindow(['test', 'tset'], { winnow_cuda_test: `echo '${ok}'` });
    assert.deepEqual([lines.length, code], [0, 2]);
  });
});
