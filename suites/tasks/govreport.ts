import { z } from 'zod';
import type { Task } from '../contract.js';
import { LONGBENCH } from './longbench-wording.js';
import { defineRecordTask } from './record-task.js';

const GovReportRecord = z.looseObject({ report: z.string().min(1), summary: z.string().min(1) });
export type GovReportRecord = z.output<typeof GovReportRecord>;

/** GovReport (arXiv 2104.02112), its whole test set. The prompt is LongBench's; scored by ROUGE-L over stems. */
export const govReport: Task = defineRecordTask<object, GovReportRecord>({
  id: 'govreport',
  family: 'summaries',
  description: 'Summaries of reports of U.S. government offices.',
  source: {
    title: 'Efficient attentions for long document summarization',
    arxiv: '2104.02112',
    url: 'https://gov-report-data.github.io/',
    licence: 'public domain',
  },
  version: 1,
  scorer: 'rouge/l-stemmed',
  maxNewTokens: 512,
  datasets: ['govreport'],
  parameters: z.strictObject({}),
  record: GovReportRecord,
  prompt({ report, summary }) {
    const [before = '', after = ''] = LONGBENCH.gov_report!.prompt.split('{context}');
    return { before, text: report, question: after, references: [summary], meta: {} };
  },
});
