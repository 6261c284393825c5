/** Bounded reads of a file from a stranger: no length in the file is believed before it is held against the file's size. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';

/** An open file of known size. `read` is exact: all bytes or an error. */
export interface BoundedFile {
  readonly path: string;
  readonly size: number;
  /** A fresh buffer with bytes [offset, offset + length) of the file; `what` names them in the error. */
  read(offset: number, length: number, what: string): Buffer;
  close(): void;
}

export function openBoundedFile(path: string): BoundedFile {
  const fd = openFile(path);
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      path,
      'a regular file',
      stat.isDirectory() ? 'a directory' : 'another kind of file',
    );
  }
  const { size } = stat;
  let open = true;
  return {
    path,
    size,
    read(offset, length, what) {
      if (!open) throw new WinnowError('ERR_INTERNAL', path, 'an open file', 'a closed one');
      checkRange(path, what, offset, length, size);
      const bytes = Buffer.allocUnsafeSlow(length);
      let done = 0;
      while (done < length) {
        const count = readSync(fd, bytes, done, length - done, offset + done);
        if (count === 0)
          throw formatError(path, what, offset + done, `${length - done} more bytes`, 'the end of the file');
        done += count;
      }
      return bytes;
    },
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** Throws unless bytes [offset, offset + length) lie inside a file of `size` bytes. */
export function checkRange(path: string, what: string, offset: number, length: number, size: number): void {
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size
  )
    return;
  throw formatError(path, what, offset, `at most ${Math.max(0, size - offset)} bytes (the file has ${size})`, length);
}

/** One wording for every damaged file: file, what, offset, expected, actual. */
export function formatError(
  path: string,
  what: string,
  offset: number,
  expected: string,
  actual: unknown,
): WinnowError {
  return new WinnowError(
    'ERR_MODEL_FORMAT',
    `${path}, ${what} at byte ${offset}`,
    expected,
    actual,
    'The file is damaged or of another kind; fetch it again and check its sha256.',
  );
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new WinnowError('ERR_MISSING', path, 'a model file', 'nothing there');
    throw new WinnowError('ERR_DISK', path, 'a readable file', code, 'Check its permissions and the disk.');
  }
}
