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

const INSTRUCTION =
  'Write a recipe out. For each step write what it does, then what one cup of the ingredient weighs, which the notes tell, and the bowl. A step that names an earlier step uses the bowl of that one.';

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
    const line = `${names[which]}, into the ${earlier === undefined ? `${bowl} bowl` : `bowl of step ${earlier + 1}`}`;
    program.push(line);
    states.push(`${line}; one cup of ${names[which]} weighs ${weights[which]} grams, ${bowl} bowl`);
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
