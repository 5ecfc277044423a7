/** The `condition` of a Grant or an Issuer, as the exchange uses it: a checked expression whose evaluation is total and bounded. */
import type { JsonObject } from '../json.ts';

export interface Condition {
  readonly source: string;
  /** Of every claim that it reads. */
  readonly claimPaths: readonly string[];
  /** Never throws. What it costs is taken from `budget`, which the conditions of one decision share. */
  evaluate(variables: ConditionVariables, budget: Meter): ConditionVerdict;
}

export interface ConditionVariables {
  readonly claims: JsonObject;
  readonly identity?: JsonObject;
  readonly request?: JsonObject;
}

export type ConditionVerdict =
  | { readonly holds: true }
  /** `why` names what failed, never a value; undefined where the expression is simply false. */
  | { readonly holds: false; readonly why: string | undefined };

/** What is left of what evaluations may cost. Whoever makes it negative must stop. */
export interface Meter {
  left: number;
}

/** Of one condition. One step is about 50 ns, so that the conditions of one decision take milliseconds at the worst. */
export const maxSteps = 10_000;

export function conditionBudget(): Meter {
  return { left: 5 * maxSteps };
}
