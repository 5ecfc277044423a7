/** A policy with one document of each kind, and what it is compiled against; refusal tests change one thing in it. */
import { readPolicyText } from '../../../src/adapters/policy-source/read-text.ts';
import type { IdentityFields } from '../../../src/core/identity.ts';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import { type PolicyProblem, PolicyRefused } from '../../../src/core/policy/refused.ts';
import type { PolicyContext, PolicySnapshot } from '../../../src/core/policy/snapshot.ts';
import { parseSpiffeId } from '../../../src/core/spiffe-id.ts';
import { platforms } from '../../../src/credentials/platforms/index.ts';

export const context: PolicyContext = {
  issuer: 'https://sts.example',
  trustDomain: 'mintmark.example',
  tokenEndpoint: 'https://sts.example/oauth/token',
  platforms,
};

/** P-256, from RFC 7515 appendix A.3. */
const ecKey =
  'kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0';

export const exampleText = `apiVersion: mintmark/v1
kind: Issuer
metadata: { name: prod-cluster }
spec:
  platform: kubernetes
  issuer: https://oidc.cluster.example
  keys: { discovery: true }
  audiences: [https://sts.example]
  require: { kubernetes.io.namespace: [payments, orders] }
  maxTokenAge: 1h
---
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: acme-ci }
spec:
  platform: github-actions
  issuer: https://token.actions.githubusercontent.com
  require: { repository_owner_id: "65" }
  subject: /ci/{repository_id}
  auditClaims: [repository, ref]
---
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: edge }
spec:
  platform: oidc
  issuer: https://kubernetes.default.svc
  keys: { jwks: { keys: [ { kid: edge, ${ecKey} } ] } }
---
apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: prod.example }
spec:
  bundle: { url: https://bundle.prod.example, profile: https_web, allowPrivateHosts: [bundle.prod.example] }
  onStale: { serveFor: 2h }
---
apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: lab.example }
spec:
  bundle: { static: { keys: [ { kid: lab, use: jwt-svid, ${ecKey} } ] } }
---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: inventory }
spec:
  audience: https://inventory.internal.example
  scopes: [items:read, items:write]
  tokenLifetime: 10m
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: orders }
spec:
  subjects:
    - spiffeId: spiffe://prod.example/orders
    - prefix: spiffe://prod.example/team-a
    - trustDomain: lab.example
    - issuer: prod-cluster
  acknowledgeWide: true
  resource: inventory
  scopes: [items:read]
  defaultScopes: [items:read]
  maxTokenLifetime: 5m
  notAfter: 2027-01-01T00:00:00Z
`;

export function compileText(text: string): PolicySnapshot {
  return compilePolicy(readPolicyText(text, { file: 'policy.yaml', managedBy: 'file' }), context, 1);
}

/** What is wrong with the text; fails where nothing is. */
export function problemsOf(text: string): readonly PolicyProblem[] {
  try {
    compileText(text);
  } catch (error) {
    if (error instanceof PolicyRefused) return error.problems;
    throw error;
  }
  throw new Error('the policy was accepted');
}

/** The example with one part of its text replaced; fails where that part is not there. */
export function exampleWith(part: string, replacement: string): string {
  if (!exampleText.includes(part)) throw new Error(`the example does not hold ${part}`);
  return exampleText.replace(part, () => replacement);
}

/** The 1-based line on which the text first holds a part. */
export function lineHolding(text: string, part: string): number {
  const index = text.indexOf(part);
  if (index === -1) throw new Error(`the text does not hold ${part}`);
  return text.slice(0, index).split('\n').length;
}

export function identity(spiffeId: string, fields: Partial<IdentityFields> = {}): IdentityFields {
  const id = parseSpiffeId(spiffeId);
  if (id === undefined) throw new Error(`${spiffeId} is not a SPIFFE ID`);
  return {
    spiffeId: id,
    credentialKind: 'jwt-svid',
    claims: {},
    auditClaims: {},
    audiences: [],
    clientIds: [],
    expiresAt: 2_000_000_000,
    ...fields,
  };
}
