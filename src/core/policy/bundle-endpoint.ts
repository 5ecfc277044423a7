/** What a TrustDomain document says of the endpoint of its bundle: the profiles of SPIFFE Federation §5.2. */
import { X509Certificate } from 'node:crypto';
import { parseSpiffeId, trustDomainOf } from '../spiffe-id.ts';
import type { TrustDomainDocument } from './document.ts';
import type { FieldProblem } from './schema-sentences.ts';

type Bundle = TrustDomainDocument['spec']['bundle'];

/** Everything that is wrong with `profile` and what belongs to it, each at its path within `bundle`. */
export function bundleEndpointProblems(bundle: Bundle, trustDomain: string): FieldProblem[] {
  const { profile, endpointSpiffeId, bootstrap, url } = bundle;
  if (profile !== 'https_spiffe') {
    const message = 'belongs to the profile https_spiffe: leave it out';
    return [
      ...(endpointSpiffeId === undefined ? [] : [{ path: ['endpointSpiffeId'], message }]),
      ...(bootstrap === undefined ? [] : [{ path: ['bootstrap'], message }]),
    ];
  }
  const problems: FieldProblem[] = [];
  if (url?.startsWith('http://') === true) {
    problems.push({ path: ['url'], message: 'must be https: the server proves its SPIFFE ID by TLS' });
  }
  const id = parseSpiffeId(endpointSpiffeId ?? '');
  if (endpointSpiffeId === undefined) {
    problems.push({
      path: ['endpointSpiffeId'],
      message: 'is missing: https_spiffe needs the server’s SPIFFE ID',
    });
  } else if (id === undefined || trustDomainOf(id) !== trustDomain) {
    const message = `must be a SPIFFE ID of the trust domain itself: spiffe://${trustDomain}/…`;
    problems.push({ path: ['endpointSpiffeId'], message });
  }
  if (bootstrap === undefined) {
    const message = 'is missing: https_spiffe needs a first bundle, with the roots of X.509-SVIDs';
    problems.push({ path: ['bootstrap'], message });
  } else {
    problems.push(...bootstrapProblems(bootstrap));
  }
  return problems;
}

/** Keys for other uses may stand beside the roots: a bundle can be pasted as it was exported. */
function bootstrapProblems({ keys }: NonNullable<Bundle['bootstrap']>): FieldProblem[] {
  const path = ['bootstrap', 'keys'];
  const roots = keys.map((key, index) => ({ key, index })).filter(({ key }) => key.use === 'x509-svid');
  if (roots.length === 0) return [{ path, message: 'must hold at least one key whose use is x509-svid' }];
  return roots.flatMap(({ key, index }) => {
    if (isCertificate(key.x5c)) return [];
    return [
      { path: [...path, index, 'x5c'], message: 'must hold one certificate authority, as base64 of its DER' },
    ];
  });
}

/** SPIFFE bundle §4.2.2: one certificate each. */
function isCertificate(x5c: unknown): boolean {
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') return false;
  try {
    return new X509Certificate(Buffer.from(x5c[0], 'base64')).ca;
  } catch {
    return false;
  }
}
