/** The device in a run record; `DeviceFacts` of the native contract. */
import { z } from 'zod';

const text = z.string();
const count = z.number().int().nonnegative();

export const deviceSchema = z.strictObject({
  name: text,
  architecture: text,
  driver: text,
  runtime: text,
  memoryBytes: count,
  l2Bytes: count,
  multiprocessors: count,
});
