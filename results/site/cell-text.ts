/** How numbers stand in tables of a site; the page's script writes them the same way. */
import type { Estimate } from '../../core/statistics-bootstrap.js';
import { differenceWithInterval, mebibytesText, scoreWithInterval, share } from '../numbers.js';
import type { Badge, Setting } from './site-data.js';

export const scoreText = (estimate: Estimate | null): string => (estimate === null ? '' : scoreWithInterval(estimate));
export const deltaText = (delta: Estimate | null): string => (delta === null ? '' : differenceWithInterval(delta));
export const shareText = (value: number | null): string => (value === null ? '' : share(value));
export const bytesText = (value: number | null): string => (value === null ? '' : mebibytesText(value));
export const timeText = (value: number | null): string =>
  value === null ? '' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
export const percentText = (value: number | null): string => (value === null ? '' : `${(100 * value).toFixed(1)} %`);

/** `2`, `=2` for a shared rank, or nothing. */
export const rankText = ({ rank, tied }: Pick<Setting, 'rank' | 'tied'>): string =>
  rank === null ? '–' : `${tied ? '=' : ''}${rank}`;

export const rankTitle = ({ rank, tied, ranked, unranked }: Setting): string =>
  rank === null
    ? `not ranked: ${unranked}`
    : `${rank - 1} of ${ranked} are better${tied ? '; shared with others whose paired intervals overlap' : ''}`;

/** What has to be known before a row is compared, as words for badges. */
export const marksOf = ({
  protocol,
  control,
  simulated,
  standIn,
}: Pick<Setting, 'protocol' | 'control' | 'simulated' | 'standIn'>): string[] => [
  protocol,
  ...(control ? ['control'] : []),
  ...(simulated ? ['simulated'] : []),
  ...(standIn ? ['stand-in'] : []),
];

export const badgeMeaning: Readonly<Record<Badge, string>> = {
  'self-reported': 'the scores are those of who ran it; this version cannot compute them again from the saved outputs',
  recomputed: 'every score was computed again from the saved outputs when this page was made',
  're-run': 'a second run of the same configuration gave the same outcome in every quantity but times',
};
