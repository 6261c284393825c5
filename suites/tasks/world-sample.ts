import { createRandom, type Random } from '../../core/random.js';
import { type EntityKind, type World, writeDocument } from '../../datasets/world.js';
import type { TextSpan } from '../../methods/contract.js';
import type { Sample } from '../contract.js';
import type { MadeSample, SampleOrder } from './define-task.js';
import { fitUnits } from './fit-units.js';
import {
  DOCUMENT_NAMING,
  depthOf,
  drawLayout,
  joinDocuments,
  type LayoutParams,
  type Naming,
  type ShownDocument,
} from './world-layout.js';

/** A document that the answer needs, with the ranges of its text that hold what is needed. */
export interface NeededDocument extends ShownDocument {
  readonly evidence: readonly TextSpan[];
}

/** A sample but for its length. */
export interface WorldPlan {
  readonly instruction: string;
  /** As asked, without its heading. */
  readonly question: string;
  readonly answerPrefix: string;
  readonly references: readonly string[];
  readonly classes?: readonly string[];
  /** In the order of the reasoning. */
  readonly needed: readonly NeededDocument[];
  /** Near misses: shown beside the needed ones wherever related documents are. */
  readonly related: readonly (ShownDocument & Partial<NeededDocument>)[];
  /** Document i of those that only fill the length; pure in i once the documents before it were asked for. */
  filler(index: number): ShownDocument;
  /** Whether the headings of documents with evidence are evidence too: of answers that list documents. */
  readonly titlesAreEvidence?: boolean;
  /** `Document 7: …` unless given. */
  readonly naming?: Naming;
  /** Most documents that only fill the length; as many as fit unless given. */
  readonly most?: number;
  readonly meta: Sample['meta'];
}

/**
 * Puts the documents of a plan in order and fills the context to its length with others. Evidence follows the documents; memory and time
 * grow with the length. Throws ERR_SUITE when the needed and related documents alone are too long.
 */
export const worldSample = (
  { length, maxNewTokens, index, meter }: Pick<SampleOrder<object>, 'length' | 'maxNewTokens' | 'index' | 'meter'>,
  task: string,
  params: LayoutParams,
  plan: WorldPlan,
  random: Random,
): MadeSample => {
  const needed = params.context === 'question-only' ? [] : plan.needed;
  const related = params.context === 'full' || params.context === 'gold-and-related' ? plan.related : [];
  const depth = depthOf(params, index);
  const layout = drawLayout(params, depth, { needed: needed.length, related: related.length }, random);
  const question = `\nQuestion: ${plan.question}`;
  const { answerPrefix, naming = DOCUMENT_NAMING } = plan;

  const shownWith = (count: number): ShownDocument[] =>
    layout.arrange<ShownDocument>(
      needed,
      related,
      Array.from({ length: count }, (_, i) => plan.filler(i)),
    );
  const contextWith = (count: number) => joinDocuments(plan.instruction, shownWith(count), naming);
  const count = fitUnits({
    task,
    length,
    maxNewTokens,
    ...(params.context === 'full' ? (plan.most === undefined ? {} : { most: plan.most }) : { most: 0 }),
    promptTokens: (n) => meter.countPrompt({ context: contextWith(n).text, question, answerPrefix }),
    unitTokens: (i) => meter.count(`${naming.heading(100, plan.filler(i).about)}${plan.filler(i).text}\n`),
  });
  const { text, documents, documentIds, starts } = contextWith(count);
  const evidence = [...needed, ...related]
    .flatMap((document): TextSpan[] => {
      const at = starts.get(document)!;
      const said = (document.evidence ?? []).map(({ start, end }) => ({ start: at.text + start, end: at.text + end }));
      const title = { start: at.heading, end: at.text - 1 };
      return plan.titlesAreEvidence === true && said.length > 0 ? [title, ...said] : said;
    })
    .sort((a, b) => a.start - b.start);
  return {
    context: text,
    documents,
    documentIds,
    question,
    answerPrefix,
    references: plan.references,
    ...(plan.classes === undefined ? {} : { classes: plan.classes }),
    evidence,
    stop: [],
    meta: {
      ...plan.meta,
      documents: documents.length,
      haystackUnits: count,
      ...(params.context === 'full' ? {} : { context: params.context }),
      ...(depth === undefined ? {} : { depth }),
    },
  };
};

const KINDS: readonly EntityKind[] = ['person', 'organisation', 'town', 'event'];

/** Documents about entities of no importance. `prepare` may keep a new entity away from what is asked for, by setting facts. */
export const fillersOf = (
  world: World,
  seed: readonly (string | number)[],
  prepare: (entity: ReturnType<World['make']>) => void = () => {},
): ((index: number) => ShownDocument) => {
  const random = createRandom(...seed);
  const made: ShownDocument[] = [];
  return (index) => {
    while (made.length <= index) {
      const entity = world.make(random.pick(KINDS));
      prepare(entity);
      const { about, text } = writeDocument(world, entity, random);
      made.push({ about, text });
    }
    return made[index]!;
  };
};
