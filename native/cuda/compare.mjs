// What two backends said of the same input: node compare.mjs logits|generate FILES-OF-ONE FILES-OF-THE-OTHER
//
// Of logits (FILE.npy, f32): relative RMS of the difference and how often the most likely token is the same; fails above
// the bound of 0.02. Of generate (FILE.json): how many tokens agree; fails below half of them, as a near tie may part
// texts but not at once.
import { readFileSync } from 'node:fs';

const rowsOf = (file) => {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const [, rows, width] = /'shape': \((\d+), (\d+),?\)/.exec(bytes.toString('latin1', 10, start));
  const values = new Float32Array(new Uint8Array(bytes.subarray(start)).buffer);
  return { rows: Number(rows), width: Number(width), values };
};

const likeliest = ({ values, width }, row) => {
  let best = 0;
  for (let i = 1; i < width; i++) if (values[row * width + i] > values[row * width + best]) best = i;
  return best;
};

const compareLogits = (one, other) => {
  const [a, b] = [rowsOf(`${one}.npy`), rowsOf(`${other}.npy`)];
  if (a.rows !== b.rows || a.width !== b.width) return { said: 'shapes differ', passed: false };
  let difference = 0;
  let size = 0;
  let largest = 0;
  a.values.forEach((x, i) => {
    difference += (x - b.values[i]) ** 2;
    size += x * x;
    largest = Math.max(largest, Math.abs(x - b.values[i]));
  });
  const error = Math.sqrt(difference / size);
  const same = Array.from({ length: a.rows }, (_, row) => likeliest(a, row) === likeliest(b, row)).filter(
    Boolean,
  ).length;
  const said = `relative RMS ${error.toFixed(5)}, largest ${largest.toFixed(4)}, same most likely token ${same} of ${a.rows}`;
  return { said, passed: error <= 0.02 };
};

const compareText = (one, other) => {
  const [a, b] = [one, other].map((file) => JSON.parse(readFileSync(`${file}.json`, 'utf8')).tokenIds);
  const length = Math.max(a.length, b.length);
  let same = 0;
  while (same < length && a[same] === b[same]) same++;
  return { said: `first ${same} of ${length} tokens the same`, passed: 2 * same >= length };
};

const [kind, one, other] = process.argv.slice(2);
const { said, passed } = (kind === 'logits' ? compareLogits : compareText)(one, other);
process.stdout.write(`${said}\n`);
process.exit(passed ? 0 : 1);
