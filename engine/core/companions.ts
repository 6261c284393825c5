/** Twin rows: other prompts that read the same answer in lockstep, for methods that hold two distributions against each other. */
import { WinnowError } from '../../core/errors.js';
import type { Part } from '../../methods/contract.js';
import type { PreparedPrompt, PromptParts } from '../contract.js';
import type { DeviceTensor } from './device.js';
import { concat } from './fed-prompt.js';
import type { Companion, Group } from './group.js';
import { prefill } from './prefill.js';
import type { ModelContext } from './sample.js';
import type { ResolvedSetting } from './settings.js';
import { appendedBytes } from './step-books.js';

/** Token ids of the prompts that a setting's `companions` hook makes of this prompt; none for other methods. */
export const companionPrompts = (
  prompt: PromptParts,
  prepare: (parts: PromptParts) => PreparedPrompt,
  setting: ResolvedSetting,
): Int32Array[] => {
  const made = setting.hooks().output?.companions?.(partsOf(prompt)) ?? [];
  return made.map((parts) => {
    const { contextIds, questionIds } = prepare({
      ...prompt,
      context: textOf(setting, parts, ['instruction', 'document', 'history']),
      question: textOf(setting, parts, ['question']),
      answerPrefix: textOf(setting, parts, ['answer-prefix']),
      documents: [],
      evidence: [],
    });
    const ids = concat(contextIds, questionIds);
    if (ids.length === 0)
      throw new WinnowError(
        'ERR_CONTRACT',
        `${setting.key}.companions`,
        'prompts of at least one token',
        'an empty one',
      );
    return ids;
  });
};

const partsOf = ({ context, question, answerPrefix }: PromptParts): Part[] => [
  { role: 'document', text: context, stands: [{ start: 0, end: context.length }] },
  { role: 'question', text: question },
  { role: 'answer-prefix', text: answerPrefix },
];

const textOf = (setting: ResolvedSetting, parts: readonly Part[], roles: readonly Part['role'][]): string =>
  parts
    .filter(({ role }) => roles.includes(role))
    .map((part) => {
      if ('text' in part) return part.text;
      throw new WinnowError('ERR_UNSUPPORTED', `${setting.key}.companions`, 'text parts', 'embeddings');
    })
    .join('');

/** Reads the prompts but for their last tokens, once for all rows of the group. */
export const openCompanions = (context: ModelContext, group: Group, prompts: readonly Int32Array[]): void => {
  const { device, transformer, shapes } = context;
  for (const ids of prompts) {
    const base = transformer.newCache();
    try {
      prefill(device, transformer, shapes, {
        ids: ids.subarray(0, ids.length - 1),
        cache: base,
        firstPosition: 0,
        chunk: context.prefillChunk,
        windowRows: 0,
        wantLogits: false,
        cancelled: context.cancelled,
      });
      group.addAuxiliaryTokens(ids.length);
      for (const row of group.rows) {
        const companion: Companion = {
          cache: device.addon.cacheFork(base),
          nextPosition: ids.length - 1,
          lastToken: ids.at(-1)!,
        };
        group.companions.set(row, [...(group.companions.get(row) ?? []), companion]);
      }
    } finally {
      device.addon.cacheFree(base);
    }
  }
};

/**
 * Feeds every twin of the groups one token; `tokenOf` a row says which (absent: the last of the twin's prompt).
 * Returns the logits f32 [rows, vocabSize] of each companion by group, which live until the open scope closes.
 */
export const feedCompanions = (
  context: ModelContext,
  groups: readonly Group[],
  tokenOf: ((group: Group, row: number) => number) | undefined,
): Map<Group, DeviceTensor[]> => {
  const { device, transformer, shapes } = context;
  const { addon } = device;
  const twins = groups.flatMap((group) =>
    Array.from({ length: count(group) }, (_, i) =>
      group.rows.map((row, r) => {
        const companion = group.companions.get(row)![i]!;
        return { companion, token: tokenOf?.(group, r) ?? companion.lastToken };
      }),
    ).flat(),
  );
  if (twins.length === 0) return new Map();
  const caches = Int32Array.from(twins, ({ companion }) => companion.cache);
  const logits = transformer.run({
    ids: Int32Array.from(twins, ({ token }) => token),
    positions: Int32Array.from(twins, ({ companion }) => companion.nextPosition++),
    caches,
    queryLen: 1,
    isStep: true,
    logits: 'last',
    attend(layer, q, out) {
      const shape = shapes[layer]!;
      addon.attendDecode(
        q.id,
        caches,
        shape.kvSource,
        1,
        shape.softmaxScale,
        shape.softCap ?? 0,
        shape.slidingWindow ?? 0,
        0,
        0,
        0,
        0,
        out.id,
        0,
        0,
      );
    },
  })!;
  if (tokenOf !== undefined) for (const group of groups) group.addAuxiliaryTokens(count(group));
  let first = 0;
  return new Map(
    groups.map((group) => [
      group,
      Array.from({ length: count(group) }, () => {
        const own = device.tensor('f32', [group.rows.length, logits.shape[1]!]);
        addon.copyRows(logits.id, first, own.id, 0, group.rows.length);
        first += group.rows.length;
        return own;
      }),
    ]),
  );
};

const count = (group: Group): number => group.companions.get(group.rows[0]!)?.length ?? 0;

/** Bytes of K and V that the twins of a row hold: nothing of theirs is ever compressed. */
export const companionBytes = (context: ModelContext, group: Group, row: Group['rows'][number]): number =>
  (group.companions.get(row) ?? []).reduce((sum, { cache }) => sum + context.device.addon.cacheBytes(cache), 0);

/** The same by formula. */
export const expectedCompanionBytes = (context: ModelContext, group: Group, row: Group['rows'][number]): number =>
  (group.companions.get(row) ?? []).reduce((sum, { nextPosition }) => sum + nextPosition * appendedBytes(context), 0);
