import { z } from 'zod';
import type { Random } from '../../core/random.js';
import {
  type Procedure,
  type ProcedureParams,
  procedureParameters,
  proceduresSource,
  procedureTask,
} from './procedure.js';

/**
 * A recipe: every step adds an ingredient, whose weight a fact far back tells, to a bowl that the step names, or to the bowl of an
 * earlier step. Nothing has to be calculated: a wrong line has lost a fact of the context or a line of the answer.
 */
export const recipeSteps = procedureTask<ProcedureParams>(
  {
    id: 'recipe_steps',
    description: 'A recipe written out: weights to look up in essays, bowls of earlier steps to look up in the answer.',
    source: proceduresSource,
    parameters: z.strictObject(procedureParameters),
  },
  (params, random) => drawRecipe(params, random),
);

const INSTRUCTION = `Write a recipe out. For each step write the ingredient, its weight and the bowl. The notes tell what one cup of each ingredient weighs; every step adds one cup.
An example, where the notes say that one cup of cream weighs 40 grams and one cup of ice weighs 12 grams:
1. cream, into the black bowl
2. ice, into the bowl of step 1
Step 1: cream, 40 grams, black bowl
Step 2: ice, 12 grams, black bowl`;

const drawRecipe = ({ facts, steps }: ProcedureParams, random: Random): Procedure => {
  const names = random.sample(INGREDIENTS, facts);
  const weights = random.sample(
    Array.from({ length: 90 }, (_, i) => i + 10),
    facts,
  );
  const used = new Set<number>();
  const bowls: string[] = [];
  const program: string[] = [];
  const states: string[] = [];
  for (let step = 0; step < steps; step++) {
    const which = random.integer(0, facts - 1);
    used.add(which);
    const earlier = step > 0 && random.float() < BACK_REFERENCES ? random.integer(0, step - 1) : undefined;
    const bowl = earlier === undefined ? random.pick(BOWLS) : bowls[earlier]!;
    bowls.push(bowl);
    program.push(`${names[which]}, into the ${earlier === undefined ? `${bowl} bowl` : `bowl of step ${earlier + 1}`}`);
    states.push(`${names[which]}, ${weights[which]} grams, ${bowl} bowl`);
  }
  return {
    instruction: INSTRUCTION,
    program,
    facts: names.map((name, i) => ({ text: `One cup of ${name} weighs ${weights[i]} grams.`, isUsed: used.has(i) })),
    states,
    meta: { ingredients: facts },
  };
};

/** Share of steps that name the bowl of an earlier one. */
const BACK_REFERENCES = 0.4;
const BOWLS = ['red', 'blue', 'green', 'white', 'yellow', 'brown'] as const;
const INGREDIENTS = [
  'almonds',
  'apples',
  'barley',
  'beans',
  'butter',
  'carrots',
  'cheese',
  'cherries',
  'cocoa',
  'currants',
  'flour',
  'honey',
  'lentils',
  'milk',
  'oats',
  'onions',
  'peanuts',
  'pears',
  'plums',
  'raisins',
  'rice',
  'spinach',
  'sugar',
  'walnuts',
] as const;
