/** What several kinds of records say in the same way. */
import { z } from 'zod';

/** Names become file names, so they hold nothing that a path could mean. */
export const cellIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'letters, digits, dot, dash, underscore; at most 128');

export const failureStatusSchema = z.enum(['failed', 'unsupported', 'out-of-memory']);
export const failureSchema = z.strictObject({ code: z.string(), message: z.string() });
