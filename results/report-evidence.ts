import { distinct } from './averages.js';
import { lengthLabel } from './charts/theme.js';
import { evidenceDiagnoses, faithfulness, KEPT_FROM, RIGHT_FROM } from './evidence.js';
import { markdownTable, plain } from './markdown.js';
import { share } from './numbers.js';
import { type CellSummary, groupKey } from './summary.js';

/** Access, use and recall of evidence side by side, for the tasks that were also asked for their evidence. */
export const evidenceSections = (cells: readonly CellSummary[]): string[] => {
  const diagnoses = evidenceDiagnoses(cells);
  if (diagnoses.size === 0) return [];
  const tables = distinct([...diagnoses.keys()].map(({ facts }) => groupKey(facts))).flatMap((key) => {
    const own = [...diagnoses].filter(([{ facts }]) => groupKey(facts) === key);
    const { taskName, contextLength, protocol } = own[0]![0].facts;
    const rows = own.map(([cell, { access, useGivenAccess, samplesWithAccess }]) => {
      const { score, evidenceRecall } = cell.record.aggregates!;
      const counts = faithfulness(cell.samples);
      return [
        `${plain(cell.series)}${cell.facts.control ? ' (c)' : ''}`,
        cell.budget,
        share(score),
        share(access),
        useGivenAccess === undefined ? '–' : `${share(useGivenAccess)} (${samplesWithAccess})`,
        evidenceRecall === undefined ? '' : share(evidenceRecall),
        ...[counts?.rightKept, counts?.rightLost, counts?.wrongKept, counts?.wrongLost].map((n) => String(n ?? '')),
      ];
    });
    return [
      `### ${plain(taskName)}, ${lengthLabel(contextLength)} tokens, ${protocol}`,
      markdownTable(
        [
          ...['method', 'budget', 'answer', 'access', 'use given access (n)', 'evidence recall'],
          ...['right, kept', 'right, lost', 'wrong, kept', 'wrong, lost'],
        ],
        rows,
        ['left', 'right', ...Array.from({ length: 8 }, () => 'right' as const)],
      ),
    ];
  });
  return [
    '## Evidence: access, use, recall',
    `"access": F1 of the documents that the setting names when it is asked for those that the answer needs. "use given access": the answer's score over the samples in which it named exactly those. "evidence recall": the share of the evidence in the cache, or read. A sample is right from a score of ${RIGHT_FROM} on, and its evidence kept from a recall of ${KEPT_FROM} on: right answers whose evidence is lost are not supported by what the method kept.`,
    ...tables,
  ];
};
