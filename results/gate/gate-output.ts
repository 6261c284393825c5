import { markdownTable, plain } from '../markdown.js';
import type { GateReport } from './gate.js';
import { type GateRow, rowName } from './gate-row.js';

/** A gate's report as text for people, Markdown, JUnit XML and GitHub's workflow commands. */

export const gateText = (report: GateReport): string => {
  const failing = report.rows.filter((row) => row.verdict !== 'pass');
  return [
    ...failing.map(
      (row) => `${markOf(row).padEnd(12)}  ${row.check}  ${rowName(row)}: ${row.detail}${waiverText(row)}`,
    ),
    ...report.notes.map((note) => `note          ${note}`),
    summaryLine(report),
  ].join('\n');
};

export const summaryLine = ({ verdict, counts, baseline }: GateReport): string => {
  const words = Object.entries(counts).flatMap(([name, count]) => (count > 0 ? [`${count} ${name}`] : []));
  return `${verdict}: ${words.join(', ')} (against ${baseline})`;
};

const markOf = ({ verdict, waiver }: GateRow): string => (waiver === undefined ? verdict : 'waived');
const waiverText = ({ waiver }: GateRow): string =>
  waiver === undefined ? '' : ` (waived by ${waiver.owner} until ${waiver.expires}: ${waiver.reason})`;

/** First line a marker, so that a bot finds its own comment again. */
export const gateMarkdown = (report: GateReport): string => {
  const failing = report.rows.filter((row) => row.verdict !== 'pass');
  const shown = failing.slice(0, mostMarkdownRows);
  return `${[
    '<!-- winnow gate -->',
    `## Winnow gate: ${report.verdict}`,
    plain(summaryLine(report)),
    ...(shown.length === 0
      ? []
      : [
          markdownTable(
            ['verdict', 'check', 'where', 'what'],
            shown.map((row) => [markOf(row), row.check, plain(rowName(row)), plain(row.detail + waiverText(row))]),
            ['left', 'left', 'left', 'left'],
          ),
        ]),
    ...(failing.length > shown.length ? [`${failing.length - shown.length} more rows are in the JSON report.`] : []),
    ...report.notes.map((note) => `- ${plain(note)}`),
  ].join('\n\n')}\n`;
};
/** A comment on GitHub may hold 65 536 characters. */
const mostMarkdownRows = 60;

/** One test case for each row: failures are what counts against the candidate, skips what is waived. */
export const gateJunit = ({ rows, counts }: GateReport): string => {
  const failures = rows.filter((row) => row.verdict !== 'pass' && row.waiver === undefined).length;
  const cases = rows.map((row) => {
    const name = `${rowName(row)} ${row.quantity}`;
    const head = `  <testcase classname="winnow.${xml(row.check)}" name="${xml(name)}"`;
    if (row.verdict === 'pass') return `${head}/>`;
    const inside =
      row.waiver === undefined
        ? `<failure type="${row.verdict}" message="${xml(row.detail)}"/>`
        : `<skipped message="${xml(row.detail + waiverText(row))}"/>`;
    return `${head}>${inside}</testcase>`;
  });
  const totals = `tests="${rows.length}" failures="${failures}" skipped="${counts.waived}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="winnow gate" ${totals}>\n${cases.join('\n')}\n</testsuite>\n`;
};

/** Workflow commands: GitHub shows ten errors of a step, so the worst come first and the last line says how many there are. */
export const gateAnnotations = (report: GateReport): string[] => {
  const failing = report.rows.filter((row) => row.verdict !== 'pass' && row.waiver === undefined);
  const lines = failing.slice(0, mostAnnotations).map((row) => {
    const level = row.verdict === 'inconclusive' ? 'warning' : 'error';
    return `::${level} title=${property(`${row.verdict}: ${row.check} ${rowName(row)}`)}::${message(row.detail)}`;
  });
  return [...lines, `::notice title=winnow gate::${message(summaryLine(report))}`];
};
const mostAnnotations = 9;

const message = (text: string): string => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
const property = (text: string): string => message(text).replace(/:/g, '%3A').replace(/,/g, '%2C');

/** Text from records inside XML: markup and characters that XML 1.0 cannot hold. */
const xml = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/[\n\r\t]/g, ' ');
