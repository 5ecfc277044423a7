/** What does not apply to an Issuer document whose platform proves credentials without published keys. */
import type { Platform } from '../platform.ts';
import type { IssuerDocument } from './document.ts';
import { quote } from './nearest-word.ts';
import type { FieldProblem } from './schema-sentences.ts';

/** Everything in the document that would have no effect, or name another issuer than the platform's only one. */
export function proofProblems(spec: IssuerDocument['spec'], platform: Platform | undefined): FieldProblem[] {
  if (platform?.proof === undefined) return [];
  const problems: FieldProblem[] = [];
  const { issuerUrl } = platform.proof;
  if (spec.issuer !== issuerUrl) {
    problems.push({
      path: ['issuer'],
      message: `must be ${issuerUrl}, whatever ${quote(platform.name)} runs`,
    });
  }
  const { regionCertificates } = platform.proof;
  if (
    regionCertificates === undefined &&
    (spec.keys.discovery !== true || spec.keys.allowPrivateHosts !== undefined)
  ) {
    problems.push({
      path: ['keys'],
      message: `${platform.name} verifies with no published keys: leave it out`,
    });
  }
  if (spec.audiences !== undefined) {
    const message =
      regionCertificates === undefined
        ? `${platform.name} binds its credentials to Mintmark’s own issuer: leave it out`
        : `${platform.name} has no audience in its credentials: leave it out`;
    problems.push({ path: ['audiences'], message });
  }
  if (spec.maxTokenAge !== undefined && regionCertificates === undefined) {
    const message = `${platform.name} fixes how old its credentials may be: leave it out`;
    problems.push({ path: ['maxTokenAge'], message });
  }
  return problems;
}
