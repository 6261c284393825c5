/** How numbers are written for people. CSV and JSON keep them whole. */
import type { Estimate } from '../core/statistics-bootstrap.js';

export const share = (value: number): string => value.toFixed(2);

/** With its sign; a true minus, and no minus before a rounded zero. */
export const signed = (value: number): string => {
  const text = Math.abs(value).toFixed(2);
  return text === '0.00' ? '0.00' : `${value < 0 ? '−' : '+'}${text}`;
};

export const scoreWithInterval = ({ mean, low, high }: Estimate): string =>
  `${share(mean)} [${share(low)}, ${share(high)}]`;

export const differenceWithInterval = ({ mean, low, high }: Estimate): string =>
  `${signed(mean)} [${signed(low)}, ${signed(high)}]`;

export const mebibytesText = (bytes: number): string => {
  const value = bytes / 2 ** 20;
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
};

export const durationText = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};
