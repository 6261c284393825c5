import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { KNOWN_FACTS, type KnownFact, RELATIONS } from '../../datasets/known-facts.js';
import { createWorld } from '../../datasets/world.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';
import { capital } from './world-questions.js';
import { fillersOf, type NeededDocument, worldSample } from './world-sample.js';

export interface CounterfactualParams extends LayoutParams {
  /** Whether the documents contradict what is known; with false they say what everybody knows, for comparison. */
  readonly contradicts: boolean;
  /** Documents about other subjects of the same kind, which contradict (or say) what is known as well. */
  readonly related: number;
}

/**
 * Context against prior knowledge: documents say of a well-known thing (the capital of a country, the author of a book) what is not so, and
 * the question is what they say. The classes are the answer of the context and that of the world, whose real value stands nowhere in the
 * context: `first-named` scores the context's, `prior-answer` counts the answers that came from memory.
 */
export const counterfactual = defineTask<CounterfactualParams>({
  id: 'counterfactual',
  family: 'world',
  description: 'What documents say of a well-known thing, against what is known of it.',
  source: { title: 'Winnow', licence: 'Apache-2.0' },
  version: 1,
  scorer: 'first-named',
  maxNewTokens: 24,
  parameters: z.strictObject({
    contradicts: z.boolean().default(true),
    related: z.int().min(0).max(8).default(2),
    ...LAYOUT_FIELDS,
  }),
  makeSample,
});

const INSTRUCTION =
  'Answer the question at the end from the following documents, even if they say what you would not expect.\n\n';

function makeSample(order: SampleOrder<CounterfactualParams>) {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, 'counterfactual', length, index);
  const asked = random.pick(KNOWN_FACTS);
  const ofRelation = KNOWN_FACTS.filter(({ relation }) => relation === asked.relation);
  const others = random.sample(
    ofRelation.filter((fact) => fact !== asked),
    params.related,
  );
  // Values that are told: none is the subject's own, no two are equal, and what is known of the asked subject is told of nobody.
  const told = new Set([asked.value]);
  const tell = (fact: KnownFact): string => {
    const value = random.pick(ofRelation.filter((other) => other !== fact && !told.has(other.value))).value;
    told.add(value);
    return value;
  };
  const other = tell(asked);
  const answer = params.contradicts ? other : asked.value;
  const subject = writeKnown(asked, answer, random);
  const related = others.map((fact) => ({
    ...writeKnown(fact, params.contradicts ? tell(fact) : fact.value, random),
    evidence: [],
  }));
  const wording = RELATIONS[asked.relation];
  return worldSample(
    order,
    'counterfactual',
    params,
    {
      instruction: INSTRUCTION,
      question: wording.question(asked.subject),
      answerPrefix: capital(`according to the documents, ${wording.answer(asked.subject)}`),
      references: [answer],
      classes: params.contradicts ? [answer, asked.value] : [answer, other],
      needed: [subject],
      related,
      filler: fillersOf(createWorld(createRandom(seed, 'counterfactual world', length, index)), [
        seed,
        'counterfactual others',
        length,
        index,
      ]),
      meta: { relation: asked.relation, prior: asked.value, contradicts: params.contradicts },
    },
    random,
  );
}

/** A document about a known subject that says one value of it, among colour. */
const writeKnown = ({ relation, subject }: KnownFact, value: string, random: Random): NeededDocument => {
  const { says, colour } = RELATIONS[relation];
  const lines = random.sample(colour, random.integer(3, 5));
  const place = random.integer(0, lines.length);
  lines.splice(place, 0, random.pick(says));
  let text = '';
  let evidence = { start: 0, end: 0 };
  lines.forEach((phrase, i) => {
    const sentence = capital(phrase.replaceAll('{S}', subject).replaceAll('{V}', value));
    if (text !== '') text += ' ';
    if (i === place) evidence = { start: text.length, end: text.length + sentence.length };
    text += sentence;
  });
  return { about: subject, text: `${text}\n`, evidence: [evidence] };
};
