/** What may stand in `keys.tokenReview`: whom to ask about a token, and with which token of our own. */
import { X509Certificate } from 'node:crypto';
import type { Platform } from '../platform.ts';
import type { IssuerDocument, ManagedBy } from './document.ts';
import type { FieldProblem } from './schema-sentences.ts';
import { trustedUrlProblem } from './trusted-url.ts';

/** Everything wrong with it. Never echoes the certificate. */
export function tokenReviewProblems(
  tokenReview: IssuerDocument['spec']['keys']['tokenReview'],
  platform: Platform | undefined,
  managedBy: ManagedBy,
): FieldProblem[] {
  if (tokenReview === undefined) return [];
  const problems: FieldProblem[] = [];
  const add = (field: readonly string[], message: string) =>
    problems.push({ path: ['keys', 'tokenReview', ...field], message });
  if (platform !== undefined && platform.review === undefined) {
    add([], `${platform.name} has nobody to ask: leave it out`);
  }
  // The file's token goes to this URL: whoever could write both over REST could have any file that holds a token.
  if (managedBy !== 'file') add([], 'names a file on the server: only MINTMARK_POLICY may hold it');
  const { url, caCertificate, tokenFile } = tokenReview;
  const urlProblem = trustedUrlProblem(url);
  if (urlProblem !== undefined) add(['url'], urlProblem);
  if (caCertificate !== undefined && !isCertificate(caCertificate)) {
    add(['caCertificate'], 'must be a certificate in PEM, beginning with -----BEGIN CERTIFICATE-----');
  }
  if (!/^\/[\x21-\x7e]+$/.test(tokenFile) || tokenFile.split('/').includes('..')) {
    add(['tokenFile'], 'must be an absolute path without ".."');
  }
  return problems;
}

function isCertificate(pem: string): boolean {
  if (pem.includes('PRIVATE KEY') || !pem.trimStart().startsWith('-----BEGIN CERTIFICATE-----')) return false;
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
}
