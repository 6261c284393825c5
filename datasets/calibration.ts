import { proseParagraphs } from './prose.js';

/**
 * Texts to calibrate methods on: prose of streams that no suite draws from, so that no sample is ever calibrated on.
 * Each has at least `characters` characters, cut at the end of a sentence. The same seed gives the same texts.
 */
export const calibrationTexts = (seed: number, count: number, characters: number): string[] =>
  Array.from({ length: count }, (_, i) => {
    let text = '';
    for (const paragraph of proseParagraphs('calibration', seed, i)) {
      for (const sentence of paragraph) {
        text += text === '' ? sentence : ` ${sentence}`;
        if (text.length >= characters) return text;
      }
      text += '\n';
    }
    return text;
  });
