import type { TokenKind } from './needle-line.js';

/** One value: everything in the singular, as upstream does; the needle itself keeps its plural. */
export const niahWording = (kind: TokenKind, asked: readonly string[], isSingular: boolean) => {
  const query = asked.length < 3 ? asked.join(' and ') : `${asked.slice(0, -1).join(', ')}, and ${asked.at(-1)}`;
  if (isSingular) {
    const secret = `secret ${kind.slice(0, -1)}`;
    return {
      instruction: `A ${secret} is hidden in the following text. Remember it: you will be asked for it after the text.`,
      question: `\nWhat is the ${secret} for ${query} in the text above?`,
      answerPrefix: `The ${secret} for ${query} in the text above is`,
    };
  }
  return {
    instruction: `Some secret ${kind} are hidden in the following text. Remember them: you will be asked for them after the text.`,
    question: `\nWhat are all the secret ${kind} for ${query} in the text above?`,
    answerPrefix: `The secret ${kind} for ${query} in the text above are`,
  };
};
