/**
 * Every error Winnow raises on purpose. Tests match `code`, people read `message`:
 * `[CODE] where: expected …, got …. How to fix`.
 */
export class WinnowError extends Error {
  override readonly name = 'WinnowError';
  readonly code: ErrorCode;
  readonly exitCode: ExitCode;

  constructor(code: ErrorCode, where: string, expected: string, actual: unknown, fix?: string) {
    const place = `${oneLine(where)}: expected ${oneLine(expected)}`;
    super(`[${code}] ${place}, got ${oneLine(show(actual))}.${fix === undefined ? '' : ` ${fix}`}`);
    this.code = code;
    this.exitCode = exitCodeOf[code];
  }
}

/** A closed list; the exit code of the command line follows from it (interface: exit codes). */
export type ErrorCode =
  | 'ERR_USAGE' // a flag, name or value on the command line
  | 'ERR_SUITE' // a suite file
  | 'ERR_POLICY' // a gate policy
  | 'ERR_PARAM' // a method's parameters
  | 'ERR_COMPOSE' // parts that cannot be combined
  | 'ERR_UNSUPPORTED' // a valid wish that this method, model or backend cannot serve
  | 'ERR_CONTRACT' // an adapter broke the method contract
  | 'ERR_BUDGET' // a budget that cannot be met
  | 'ERR_MODEL_FORMAT' // a model, tokenizer or config file that is damaged or of another kind
  | 'ERR_DATASET_FORMAT'
  | 'ERR_CHECKSUM' // bytes differ from the hash that names them
  | 'ERR_MISSING' // a file, model or dataset that is not there
  | 'ERR_UNREACHABLE' // every source of a download failed
  | 'ERR_NATIVE_BUILD'
  | 'ERR_NATIVE_LOAD'
  | 'ERR_SHAPE' // a native op was given tensors that do not fit
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_DISK' // no space, no permission, a failing device
  | 'ERR_LOCKED' // another process writes this run
  | 'ERR_RECORD' // a run directory that is damaged or of another run
  | 'ERR_INCOMPARABLE' // runs whose samples or protocol differ
  | 'ERR_INTERRUPTED'
  | 'ERR_INTERNAL';

export type ExitCode = 0 | 1 | 2 | 3 | 4 | 70 | 74 | 130;

const exitCodeOf: Record<ErrorCode, ExitCode> = {
  ERR_USAGE: 2,
  ERR_SUITE: 2,
  ERR_POLICY: 2,
  ERR_PARAM: 2,
  ERR_COMPOSE: 2,
  ERR_UNSUPPORTED: 2,
  ERR_CONTRACT: 2,
  ERR_BUDGET: 2,
  ERR_MODEL_FORMAT: 3,
  ERR_DATASET_FORMAT: 3,
  ERR_CHECKSUM: 3,
  ERR_MISSING: 3,
  ERR_UNREACHABLE: 3,
  ERR_NATIVE_BUILD: 3,
  ERR_NATIVE_LOAD: 3,
  ERR_SHAPE: 70,
  ERR_OUT_OF_MEMORY: 1,
  ERR_DISK: 74,
  ERR_LOCKED: 3,
  ERR_RECORD: 3,
  ERR_INCOMPARABLE: 3,
  ERR_INTERRUPTED: 130,
  ERR_INTERNAL: 70,
};

/** Names and texts from files may hold anything; a message stays one line of readable length. */
const oneLine = (text: string): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const printable = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');
  return printable.length > longestPart ? `${printable.slice(0, longestPart)}…` : printable;
};
const longestPart = 1_000;

const show = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return `${value} (${typeof value})`;
  if (value === undefined || value === null) return 'nothing';
  const json = jsonOf(value);
  return json.length > 200 ? `${json.slice(0, 200)}…` : json;
};

/** What a file from a stranger nests too deeply for JSON.stringify must not turn one error into another. */
const jsonOf = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? typeof value;
  } catch {
    return `a value that is no JSON or too deeply nested (${typeof value})`;
  }
};

/** The same error on the other side of a thread or process border. */
export const reviveError = (code: ErrorCode, message: string): WinnowError => {
  const error = new WinnowError(code, '', '', '');
  error.message = message;
  return error;
};

/** Anything thrown, as a WinnowError: what is not ours is a bug of ours. */
export const asWinnowError = (thrown: unknown, where: string): WinnowError => {
  if (thrown instanceof WinnowError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const native = /^\[(ERR_[A-Z_]+)\]/.exec(message)?.[1];
  if (native !== undefined && native in exitCodeOf) return reviveError(native as ErrorCode, message);
  const error = new WinnowError(
    'ERR_INTERNAL',
    where,
    'no exception',
    message,
    'This is a bug; run with --verbose and report it.',
  );
  if (thrown instanceof Error && thrown.stack !== undefined) error.stack = thrown.stack;
  return error;
};
