/** The line that fills a noise haystack: five short sentences that say nothing, as in RULER (arXiv 2404.06654), in words of our own. */
export const NOISE_LINE = 'The road is long. The field is wide. The rain is cold. On we walk. Out and home again.';
