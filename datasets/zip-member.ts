/** One file out of a zip archive, unpacked after its sizes were checked. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { crc32, inflateRawSync } from 'node:zlib';
import { damaged } from './record-places.js';

const [END, ENTRY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const endBytes = 22;
const longestComment = 0xffff;
/** Beyond these the format has other records (zip64), which none of our sets needs. */
const mostBytes = 2 ** 31;

/** Throws: ERR_DATASET_FORMAT when the archive is damaged or has no such member. */
export const readZipMember = (path: string, member: string): Buffer => {
  const { size } = statSync(path);
  const file = openSync(path, 'r');
  const read = (start: number, length: number): Buffer => {
    if (start < 0 || length < 0 || start + length > size)
      throw damaged(path, `a zip archive of ${size} bytes`, start + length);
    const bytes = Buffer.allocUnsafe(length);
    if (readSync(file, bytes, 0, length, start) !== length) throw damaged(path, 'a whole zip archive', 'a shorter one');
    return bytes;
  };
  try {
    const directory = centralDirectory(path, size, read);
    const names: string[] = [];
    for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === ENTRY; ) {
      const [nameLength, extra, comment] = [28, 30, 32].map((offset) => directory.readUInt16LE(at + offset)) as [
        number,
        number,
        number,
      ];
      const name = directory.toString('utf8', at + 46, at + 46 + nameLength);
      if (name === member) return unpack(path, directory.subarray(at, at + 46), read);
      names.push(name);
      at += 46 + nameLength + extra + comment;
    }
    throw damaged(path, `a member ${member}`, names.slice(0, 20).join(', '));
  } finally {
    closeSync(file);
  }
};

type Read = (start: number, length: number) => Buffer;

const centralDirectory = (path: string, size: number, read: Read): Buffer => {
  const tail = read(Math.max(0, size - endBytes - longestComment), Math.min(size, endBytes + longestComment));
  for (let at = tail.length - endBytes; at >= 0; at--)
    if (tail.readUInt32LE(at) === END) return read(tail.readUInt32LE(at + 16), tail.readUInt32LE(at + 12));
  throw damaged(path, 'a zip archive', 'no directory at its end');
};

const unpack = (path: string, entry: Buffer, read: Read): Buffer => {
  const [method, checksum, packed, unpacked] = [
    entry.readUInt16LE(10),
    entry.readUInt32LE(16),
    entry.readUInt32LE(20),
    entry.readUInt32LE(24),
  ];
  const start = entry.readUInt32LE(42);
  if (unpacked > mostBytes || packed > mostBytes) throw damaged(path, 'members of at most 2 GiB', unpacked);
  const local = read(start, 30);
  if (local.readUInt32LE(0) !== LOCAL) throw damaged(path, 'a member where its directory says', 'something else');
  const bytes = read(start + 30 + local.readUInt16LE(26) + local.readUInt16LE(28), packed);
  const whole = method === 0 ? bytes : method === 8 ? inflate(path, bytes, unpacked) : undefined;
  if (whole === undefined) throw damaged(path, 'a stored or deflated member', `method ${method}`);
  if (whole.length !== unpacked || crc32(whole) !== checksum)
    throw damaged(path, 'a member whose checksum is right', 'another');
  return whole;
};

const inflate = (path: string, bytes: Buffer, length: number): Buffer => {
  try {
    return inflateRawSync(bytes, { maxOutputLength: Math.max(1, length) });
  } catch (error) {
    throw damaged(path, `a member of ${length} bytes`, (error as Error).message);
  }
};
