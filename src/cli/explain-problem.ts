/** A server's problem in the words of the files that caused it. */

import { describeProblem } from '../core/policy/refused.ts';

import { documentLabel, type FieldPath, type PolicySource } from '../core/policy/source.ts';
import type { ServerProblem } from './admin-client.ts';
import { plain } from './paint.ts';

const hints: Readonly<Record<string, string>> = {
  'urn:mintmark:problem:unauthorized':
    'Check MINTMARK_TOKEN, MINTMARK_TOKEN_FILE, or that MINTMARK_DATA_DIR is this server’s; a login that is over is renewed by mintmark login.',
  'urn:mintmark:problem:managed-by-file':
    'Change these documents where MINTMARK_POLICY points, on the server.',
};

/** Sentences for a person; where a document came from `sources`, with the file and line of the field. */
export function explainProblem(problem: ServerProblem, sources: readonly PolicySource[] = []): string {
  if (problem.problems !== undefined && problem.problems.length > 0) {
    return explainPlaces(problem.problems, sources).join('\n');
  }
  const detail = problem.detail === undefined ? '' : `: ${problem.detail}`;
  const hint = hints[problem.type];
  return `${plain(`${problem.title}${detail}`)}${hint === undefined ? '' : `\n${hint}`}\n(request ${plain(problem.request_id)})`;
}

/** A line for each, with the file and line of the field where its document came from `sources`. */
export function explainPlaces(
  problems: NonNullable<ServerProblem['problems']>,
  sources: readonly PolicySource[],
): readonly string[] {
  return problems.map(({ document, field, message }) => {
    const source = sources.find(({ value }) => documentLabel(value) === document);
    return plain(describeProblem({ document, field, ...source?.locate(parseField(field)), message }));
  });
}

/** `spec.scopes[0]` and `spec.require["a.b"]` as paths. */
export function parseField(field: string): FieldPath {
  return [...field.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)].map(
    ([, index, quoted, name = '']) => {
      if (index !== undefined) return Number(index);
      return quoted === undefined ? name : String(JSON.parse(quoted));
    },
  );
}
