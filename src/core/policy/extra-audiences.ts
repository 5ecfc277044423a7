/** Checks a Resource's `extraAudiences`: services that its tokens are good for besides it, which is better avoided. */
import type { Checked } from './check.ts';
import type { ResourceDocument } from './document.ts';
import { type Problems, placeOf } from './problems.ts';

const warning =
  'makes each of these services able to use at the others, and at this one, a token that it is sent: a Resource for each is safer';

/** Neither the audience of a Resource nor one of `ours` is ever an extra one, for no grant on this resource speaks for it. */
export function checkExtraAudiences(
  checked: readonly Checked<ResourceDocument>[],
  ours: readonly string[],
  problems: Problems,
): void {
  const byAudience = new Map(checked.map(({ source, document }) => [document.spec.audience, source]));
  for (const { source, document } of checked) {
    const { extraAudiences } = document.spec;
    if (extraAudiences.length > 0) problems.warn(source, ['spec', 'extraAudiences'], warning);
    for (const [index, audience] of extraAudiences.entries()) {
      const message = describeWrong(audience, extraAudiences.indexOf(audience) < index);
      if (message !== undefined) problems.add(source, ['spec', 'extraAudiences', index], message);
    }
  }

  function describeWrong(audience: string, isRepeated: boolean): string | undefined {
    if (ours.includes(audience)) return 'is an audience of Mintmark itself: leave it out';
    if (/[\s\p{Cc}]/u.test(audience)) return 'must hold no spaces or control characters';
    if (isRepeated) return 'stands here already';
    const owner = byAudience.get(audience);
    if (owner === undefined) return undefined;
    return `is the audience of ${placeOf(owner, ['spec', 'audience'])}: only a grant on that one may give it`;
  }
}
