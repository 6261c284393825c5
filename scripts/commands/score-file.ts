import { readFile } from 'node:fs/promises';
import { defineCommand } from '../command.js';
import { json, required, text } from '../flags.js';

export const scoreFile = defineCommand({
  name: 'score-file',
  summary: 'Score predictions in a JSON Lines file: {prediction, references, question?, …} on each line.',
  positionals: {},
  required: 0,
  flags: {
    scorer: required(text('Id of the scorer, such as ruler/string_match_all or squad/f1.', 'ID')),
    in: required(text('The file to score.', 'x.jsonl')),
    json,
  },
  examples: [
    [
      '$0 score-file --scorer squad/f1 --in predictions.jsonl --json',
      '{scorer, n, score, scores}; percent where upstream prints percent',
    ],
  ],
  async run({ scorer, in: file, json: asJson }, terminal) {
    const { scoreFile: scoreLines, scorerById } = await import('../../suites/index.js');
    scorerById(scorer);
    const scored = scoreLines(scorer, (await readFile(file, 'utf8')).split('\n'), file);
    if (asJson) terminal.printJson(scored);
    else terminal.print(`${scored.scorer}: ${scored.score} over ${scored.n} lines`);
    return 0;
  },
});
