import { run } from 'node:test';

/** Long enough for a file that evaluates the real model on a slow machine; a test that hangs still ends. */
const FILE_TIMEOUT_MS = 10 * 60 * 1000;

/** Runs test files two at a time in processes of their own and prints failures as they come. */
export const runTestFiles = async (
  files: readonly string[],
  onSkip: (reason: string) => void,
): Promise<{ passed: number; failed: number }> => {
  const total = { passed: 0, failed: 0 };
  if (files.length === 0) return total;
  const events = run({ files: [...files], concurrency: 2, timeout: FILE_TIMEOUT_MS });
  for await (const { type, data } of events as AsyncIterable<{ type: string; data: TestEvent }>) {
    if (type === 'test:stdout' || type === 'test:stderr') process.stderr.write(data.message ?? '');
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const isSuite = data.details?.type === 'suite';
    if (data.skip !== undefined && data.skip !== false)
      onSkip(typeof data.skip === 'string' ? data.skip : `${data.name} (no reason given)`);
    else if (type === 'test:pass') total.passed += isSuite ? 0 : 1;
    else if (!isFailedBelow(data)) {
      total.failed++;
      console.log(`FAIL ${data.file ?? ''}:${data.line ?? 0} ${data.name}\n${describe(data)}\n`);
    }
  }
  return total;
};

interface TestEvent {
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
  readonly skip?: string | boolean;
  readonly message?: string;
  readonly details?: {
    readonly type?: string;
    readonly error?: Error & { code?: string; failureType?: string; cause?: unknown };
  };
}

/** A suite or parent that only failed because a test inside it did, which was counted. */
const isFailedBelow = (data: TestEvent): boolean => data.details?.error?.failureType === 'subtestsFailed';

const describe = (data: TestEvent): string => {
  const error = data.details?.error;
  const cause = error?.cause;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? error?.message ?? 'failed');
};
