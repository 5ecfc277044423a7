/** What the author of an Issuer document should know, though the document is taken as it is. */
import type { IssuerDocument } from './document.ts';
import type { TrustedIssuer } from './snapshot.ts';
import type { FieldPath } from './source.ts';

interface Warning {
  /** Within `spec`. */
  readonly path: FieldPath;
  readonly message: string;
}

/** Audiences that other verifiers share, and rules that the next holder of a name would meet. */
export function issuerWarnings(
  { audiences, subject, require }: IssuerDocument['spec'],
  issuer: TrustedIssuer,
): readonly Warning[] {
  const { fixedAudiences = [], nameClaims = [], name } = issuer.platform;
  const warnings: Warning[] = [];
  for (const [index, audience] of (audiences ?? []).entries()) {
    if (!fixedAudiences.includes(audience)) continue;
    const message = `every verifier of ${name} tokens has this audience: whoever is shown one can replay it here`;
    warnings.push({ path: ['audiences', index], message });
  }
  const areNames = (paths: readonly string[]) =>
    paths.length > 0 && paths.every((path) => nameClaims.includes(path));
  const templatePaths = issuer.subject.claimPaths;
  if (subject !== undefined && areNames(templatePaths)) {
    warnings.push({ path: ['subject'], message: nameSentence(templatePaths, 'put an id beside it') });
  }
  const requiredPaths = Object.keys(require ?? {});
  if (areNames(requiredPaths)) {
    warnings.push({ path: ['require'], message: nameSentence(requiredPaths, 'require an id too') });
  }
  return warnings;
}

function nameSentence(paths: readonly string[], advice: string): string {
  return `rests on names alone (${paths.join(', ')}), and whoever takes such a name later fits too: ${advice}`;
}
