export const vtInstruction = 'Follow the chain of variable assignments that is hidden in the following text.\n\n';

export const vtWording = (value: string, names: number) => ({
  instruction: vtInstruction,
  question: `\nQuestion: Find all variables that hold the value ${value} in the text above.`,
  answerPrefix: `Answer: By the chain of assignments in the text above, ${names} variables hold the value ${value}, they are:`,
});
