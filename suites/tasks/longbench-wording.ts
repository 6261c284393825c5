/**
 * The prompts of LongBench v1's English and code datasets, word for word with their slips (THUDM/LongBench at 2e00731f8d0b,
 * LongBench/config/dataset2prompt.json and dataset2maxlen.json, MIT licence, copyright THUDM).
 */
export interface LongBenchWording {
  /** `{context}` and `{input}` stand for the record's fields, each at most once and in this order. */
  readonly prompt: string;
  readonly maxNewTokens: number;
  /** Upstream leaves the chat template away where examples or code lead to the answer. */
  readonly plain?: true;
  /** Whether LongBench-E, the edition with even lengths, has it. */
  readonly evenLengths?: true;
  /** How the text calls its documents, for their borders. */
  readonly documents?: 'Passage' | 'Paragraph';
}

const multiDocument =
  'Answer the question based on the given passages. Only give me the answer and do not output any other words.\n\nThe following are given passages.\n{context}\n\nAnswer the question based on the given passages. Only give me the answer and do not output any other words.\n\nQuestion: {input}\nAnswer:';

const code = 'Please complete the code given below. \n{context}';

export const LONGBENCH: Readonly<Record<string, LongBenchWording>> = {
  narrativeqa: {
    prompt:
      'You are given a story, which can be either a novel or a movie script, and a question. Answer the question asconcisely as you can, using a single phrase if possible. Do not provide any explanation.\n\nStory: {context}\n\nNow, answer the question based on the story asconcisely as you can, using a single phrase if possible. Do not provide any explanation.\n\nQuestion: {input}\n\nAnswer:',
    maxNewTokens: 128,
  },
  qasper: {
    prompt:
      'You are given a scientific article and a question. Answer the question as concisely as you can, using a single phrase or sentence if possible. If the question cannot be answered based on the information in the article, write "unanswerable". If the question is a yes/no question, answer "yes", "no", or "unanswerable". Do not provide any explanation.\n\nArticle: {context}\n\n Answer the question based on the above article as concisely as you can, using a single phrase or sentence if possible. If the question cannot be answered based on the information in the article, write "unanswerable". If the question is a yes/no question, answer "yes", "no", or "unanswerable". Do not provide any explanation.\n\nQuestion: {input}\n\nAnswer:',
    maxNewTokens: 128,
    evenLengths: true,
  },
  multifieldqa_en: {
    prompt:
      'Read the following text and answer briefly.\n\n{context}\n\nNow, answer the following question based on the above text, only give me the answer and do not output any other words.\n\nQuestion: {input}\nAnswer:',
    maxNewTokens: 64,
    evenLengths: true,
  },
  hotpotqa: { prompt: multiDocument, maxNewTokens: 32, evenLengths: true, documents: 'Passage' },
  '2wikimqa': { prompt: multiDocument, maxNewTokens: 32, evenLengths: true, documents: 'Passage' },
  musique: { prompt: multiDocument, maxNewTokens: 32, documents: 'Passage' },
  gov_report: {
    prompt:
      'You are given a report by a government agency. Write a one-page summary of the report.\n\nReport:\n{context}\n\nNow, write a one-page summary of the report.\n\nSummary:',
    maxNewTokens: 512,
    evenLengths: true,
  },
  qmsum: {
    prompt:
      'You are given a meeting transcript and a query containing a question or instruction. Answer the query in one or more sentences.\n\nTranscript:\n{context}\n\nNow, answer the query based on the above meeting transcript in one or more sentences.\n\nQuery: {input}\nAnswer:',
    maxNewTokens: 512,
  },
  multi_news: {
    prompt:
      'You are given several news passages. Write a one-page summary of all news. \n\nNews:\n{context}\n\nNow, write a one-page summary of all the news.\n\nSummary:',
    maxNewTokens: 512,
    evenLengths: true,
    documents: 'Passage',
  },
  trec: {
    prompt:
      'Please determine the type of the question below. Here are some examples of questions.\n\n{context}\n{input}',
    maxNewTokens: 64,
    plain: true,
    evenLengths: true,
  },
  triviaqa: {
    prompt:
      'Answer the question based on the given passage. Only give me the answer and do not output any other words. The following are some examples.\n\n{context}\n\n{input}',
    maxNewTokens: 32,
    plain: true,
    evenLengths: true,
  },
  samsum: {
    prompt:
      'Summarize the dialogue into a few short sentences. The following are some examples.\n\n{context}\n\n{input}',
    maxNewTokens: 128,
    plain: true,
    evenLengths: true,
  },
  passage_count: {
    prompt:
      'There are some paragraphs below sourced from Wikipedia. Some of them may be duplicates. Please carefully read these paragraphs and determine how many unique paragraphs there are after removing duplicates. In other words, how many non-repeating paragraphs are there in total?\n\n{context}\n\nPlease enter the final count of unique paragraphs after removing duplicates. The output format should only contain the number, such as 1, 2, 3, and so on.\n\nThe final answer is: ',
    maxNewTokens: 32,
    evenLengths: true,
    documents: 'Paragraph',
  },
  passage_retrieval_en: {
    prompt:
      'Here are 30 paragraphs from Wikipedia, along with an abstract. Please determine which paragraph the abstract is from.\n\n{context}\n\nThe following is an abstract.\n\n{input}\n\nPlease enter the number of the paragraph that the abstract is from. The answer format must be like "Paragraph 1", "Paragraph 2", etc.\n\nThe answer is: ',
    maxNewTokens: 32,
    evenLengths: true,
    documents: 'Paragraph',
  },
  lcc: { prompt: `${code}Next line of code:\n`, maxNewTokens: 64, plain: true, evenLengths: true },
  'repobench-p': { prompt: `${code}{input}Next line of code:\n`, maxNewTokens: 64, plain: true, evenLengths: true },
};
