/** What cwe and fwe say around their lists. */
export const cweWording = (commonWords: number) => ({
  instruction:
    'Some words stand more often than others in the following numbered list. Remember those that stand most often.\n',
  question: `\nQuestion: What are the ${commonWords} words that stand most often in the list above?`,
  answerPrefix: `Answer: The ${commonWords} words that stand most often in the list are:`,
});

export const fweWording = {
  instruction:
    'Count the invented words of the following text and remember the three that stand most often. Ignore the dots.\n',
  question: '\nQuestion: Which three invented words stand most often in the text above? Ignore the dots.',
  answerPrefix: 'Answer: The three invented words that stand most often in the text above are:',
};
