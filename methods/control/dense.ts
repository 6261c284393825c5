import { z } from 'zod';
import { defineMethod } from '../contract.js';
import { declaration } from '../declaration.js';

/**
 * Dense: full attention over the whole cache, what every other method is measured against.
 *
 * Cost: every slot is read at every step. State: none. Error: exact.
 */
export const dense = defineMethod({
  id: 'dense',
  name: 'Dense attention',
  family: 'control',
  source: { title: 'Attention Is All You Need', arxiv: '1706.03762', section: '3.2' },
  deviations: [],
  training: 'none',
  parameters: z.strictObject({}),
  budgetAxis: 'none',
  budgetControl: 'exact',
  control: true,
  declare: () => declaration(),
  hooks: () => ({}),
});
