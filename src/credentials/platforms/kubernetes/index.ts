/** Kubernetes service account tokens, as projected into pods by the TokenRequest API. */
import { isJsonObject, type JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';
import { review } from './token-review.ts';

export const kubernetes: Platform = {
  name: 'kubernetes',
  algorithms: ['RS256', 'ES256', 'ES384', 'ES512'],
  defaultSubject: '/{issuer-name}/ns/{kubernetes.io.namespace}/sa/{kubernetes.io.serviceaccount.name}',
  // A day admits what EKS projects; the token that is injected by default lives for a year, and is refused.
  maxTokenLifetimeSeconds: 86_400,
  isSharedIssuer: () => false,
  tenantClaims: [],
  // IRSA's tokens are for AWS STS, which AWS calls hold in plenty.
  foreignAudiences: ['sts.amazonaws.com'],
  nameClaims: ['kubernetes.io.serviceaccount.name', 'kubernetes.io.pod.name', 'kubernetes.io.node.name'],
  check,
  review,
};

/** `sub` and the private claims are written by one hand; where they disagree, it was not the API server's. */
function check(claims: JsonObject): string | undefined {
  const details = claims['kubernetes.io'];
  if (!isJsonObject(details)) return 'no kubernetes.io claim: not a token of the TokenRequest API';
  const { namespace, serviceaccount: account } = details;
  if (typeof namespace !== 'string' || !isJsonObject(account) || typeof account.name !== 'string') {
    return 'kubernetes.io names no namespace and service account';
  }
  return claims.sub === `system:serviceaccount:${namespace}:${account.name}`
    ? undefined
    : 'sub is not the service account that kubernetes.io names';
}
