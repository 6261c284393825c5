/**
 * The prompts of InfiniteBench for open models, word for word with their slips (OpenBMB/InfiniteBench at 88b3daa6989d, src/prompt.py,
 * `yarn_mistral_templates`, and src/eval_utils.py for the answer lengths; MIT licence, copyright OpenBMB).
 */
export interface InfiniteBenchTask {
  readonly description: string;
  /** `{context}` once; other names in braces are filled from the record. */
  readonly prompt: string;
  readonly answerPrefix?: string;
  readonly maxNewTokens: number;
  readonly choices?: true;
  /** The part of the text that the answer needs, from the answer and the question. */
  readonly evidence?: (answer: string, input: string) => string | undefined;
}

const options = 'A. {OPTION_A}\nB. {OPTION_B}\nC. {OPTION_C}\nD. {OPTION_D}';

const keyOf = (input: string): string | undefined => /"([^"]+)"/.exec(input)?.[1];

export const INFINITEBENCH: Readonly<Record<string, InfiniteBenchTask>> = {
  passkey: {
    description: 'A key of five digits in noise.',
    prompt:
      'There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you about the important information.\n\n{context}\n\n{input}\n\n',
    answerPrefix: 'The pass key is',
    maxNewTokens: 6,
    evidence: (key) => `The pass key is ${key}. Remember it. ${key} is the pass key.`,
  },
  number_string: {
    description: 'Ten digits, many of them doubled, in noise.',
    prompt:
      'There is an important info hidden inside a lot of irrelevant text. Find it. I will quiz you about the important information there.\n\n{context}\n\n{input}\n\n',
    answerPrefix: 'The sequence of digits is',
    maxNewTokens: 12,
    evidence: (digits) => `The sequence of digits is ${digits}. Remember it. ${digits} is the sequence of digits.`,
  },
  kv_retrieval: {
    description: 'The value of one key of a JSON object of 2,500 UUID pairs.',
    prompt: 'Extract the value corresponding to the specified key in the JSON object below.\n\n{context}\n\n{input}',
    maxNewTokens: 50,
    evidence: (value, input) => `"${keyOf(input)}": "${value}"`,
  },
  longbook_sum_eng: {
    description: 'A summary of a novel whose names were replaced.',
    prompt: 'Summarize the book below.\n\n{context}\n\nSummary:',
    maxNewTokens: 1200,
  },
  longbook_qa_eng: {
    description: 'Questions about a novel whose names were replaced.',
    prompt:
      'Read the book and answer the question. Be very concise in your answer.\n\n{context}\n\nQuestion: {input}\nAnswer:',
    maxNewTokens: 40,
  },
  longbook_choice_eng: {
    description: 'Multiple-choice questions about a novel whose names were replaced.',
    prompt: `Read the book and answer the question.\n\n{context}\n\nQuestion: {input}\n${options}\n\n`,
    answerPrefix: 'The letter of the correct answer is',
    maxNewTokens: 40,
    choices: true,
  },
  longbook_qa_chn: {
    description: 'Chinese questions about a Chinese novel.',
    prompt: '阅读以下书籍然后回答问题。\n\n{context}\n\n问题：{input}\n答案：',
    maxNewTokens: 40,
  },
  longdialogue_qa_eng: {
    description: 'Which character of a film script a masked name is.',
    prompt:
      'Below is a dialogue script where one random occurrence of a character name is replaced with "$$MASK$$", and you should try to guess who that character is.\n\n{context}\n\n',
    answerPrefix: 'The name that has been replaced with $$MASK$$ is likely',
    maxNewTokens: 40,
  },
  math_find: {
    description: 'The largest, second smallest or median number of a long list.',
    prompt: '{prefix}\n\n{context}\n\n{input}',
    maxNewTokens: 3,
  },
  math_calc: {
    description: 'All running values of a sum of 30,000 terms.',
    prompt:
      'Let us calculate the intermediate values of an expression.\n\nExpression: 1 + 3 + 4\nValues: [1, 4, 8]\n\nExpression: 8 - 3 + 2 - 4\nValues: [8, 5, 7, 3]\n\nExpression: {context}\nValues:',
    maxNewTokens: 30_000,
  },
  code_run: {
    description: 'What a function returns that calls others through many layers.',
    prompt:
      'There is a function called {func} in the following Python code.\n\n{context}\n\nPlease compute the exact value of {func_call}. ',
    answerPrefix: 'The value of {func_call} is',
    maxNewTokens: 5,
  },
  code_debug: {
    description: 'Which of four functions of a code base has a deliberate error.',
    prompt: `Following is a Python code where exactly one of the functions/methods has a deliberate error that makes it crash.\n\n{context}\n\nOptions:\n${options}\n\n`,
    answerPrefix: 'The correct option is:',
    maxNewTokens: 5,
    choices: true,
  },
};
