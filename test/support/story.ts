/** The world of the stories: our real server, a Kubernetes-like issuer, a SPIFFE trust domain, and one policy over them. */
import { createHash } from 'node:crypto';
import { type IssuerDouble, startIssuerDouble } from './issuer-double.ts';
import { type RunningServer, startServer } from './server.ts';
import { bundleOf, type Claims, jwksOf, kubernetesClaims, makeKey, makeSvid, signToken } from './tokens.ts';

export const jwtBearerAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
export const jwtSpiffeAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
export const jwtTokenType = 'urn:ietf:params:oauth:token-type:jwt';
export const jwtSpiffeTokenType = 'urn:ietf:params:oauth:token-type:jwt_spiffe';

/** May have alpha, profile and email on alpha, and beta on beta. */
export const ordersId = 'spiffe://prod.test/orders';
/** May have alpha on alpha, which is also its default target. */
export const nonoId = 'spiffe://prod.test/nono';
/** Verified, but nobody grants it anything. */
export const strangerId = 'spiffe://prod.test/stranger';
/** The workload of `platformToken`, which may have alpha on alpha, its default target and default scope. */
export const functionId = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';

export interface World {
  /** An issuer with discovery; the Issuer document `cluster`. */
  readonly platform: IssuerDouble;
  /** A bundle endpoint; the TrustDomain document `prod.test`. */
  readonly trustDomain: IssuerDouble;
  /** A JWT-SVID that lives for five minutes. */
  svid(spiffeId: string, audience: string, claims?: Claims): Promise<string>;
  /** A service account token that lives for an hour; of `payments/api` unless the claims say otherwise. */
  platformToken(audience: string, claims?: Claims): Promise<string>;
  /** A new JWT authority for the trust domain, published beside the old one; later SVIDs are signed with it. */
  rotateBundle(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the issuer and the trust domain. */
export async function startWorld(): Promise<World> {
  const platformKey = await makeKey('platform-1', 'RS256');
  let authority = await makeKey('authority-1');
  const platform = await startIssuerDouble({ keys: jwksOf(platformKey) });
  const trustDomain = await startIssuerDouble({ bundle: bundleOf(authority) });
  return {
    platform,
    trustDomain,
    svid: (spiffeId, audience, claims = {}) =>
      makeSvid(authority, spiffeId, audience, { ...lifetime(300), ...claims }),
    platformToken: (audience, claims = {}) =>
      signToken(
        platformKey,
        kubernetesClaims(platform.url, audience, { ...lifetime(3600), nbf: undefined, ...claims }),
      ),
    rotateBundle: async () => {
      const next = await makeKey(`authority-${Date.now()}`);
      trustDomain.bundle = bundleOf(authority, next);
      authority = next;
    },
    close: async () => {
      await Promise.all([platform.close(), trustDomain.close()]);
    },
  };
}

/** `iat` and `exp` by this machine's clock, which is the one that the server process reads. */
export function lifetime(seconds: number): { readonly iat: number; readonly exp: number } {
  const iat = Math.floor(Date.now() / 1000);
  return { iat, exp: iat + seconds };
}

/** The policy as YAML. */
export function policyOf({ platform, trustDomain }: Pick<World, 'platform' | 'trustDomain'>): string {
  return `
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: cluster }
spec: { platform: kubernetes, issuer: "${platform.url}", keys: { discovery: true } }
---
apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: prod.test }
spec: { bundle: { url: "${trustDomain.bundleUrl}", profile: https_web } }
---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: alpha }
spec: { audience: alpha, scopes: [alpha, profile, email] }
---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: beta }
spec: { audience: beta, scopes: [beta] }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: orders-on-alpha }
spec: { subjects: [{ spiffeId: "${ordersId}" }], resource: alpha, scopes: [alpha, profile, email] }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: orders-on-beta }
spec: { subjects: [{ spiffeId: "${ordersId}" }], resource: beta, scopes: [beta] }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: nono-on-alpha }
spec: { subjects: [{ spiffeId: "${nonoId}" }], resource: alpha, scopes: [alpha], default: true }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: function-on-alpha }
spec:
  subjects: [{ spiffeId: "${functionId}" }]
  resource: alpha
  scopes: [alpha]
  defaultScopes: [alpha]
  default: true
`;
}

export interface Story extends World {
  readonly server: RunningServer;
}

/** Starts the world and our server with its policy, on the embedded store. */
export async function startStory(environment: Record<string, string> = {}): Promise<Story> {
  const world = await startWorld();
  const server = await startServer({ policy: () => policyOf(world), environment });
  return {
    ...world,
    server,
    close: async () => {
      await server.remove();
      await world.close();
    },
  };
}

/** The audit event of a request, as an admin reads it; undefined where there is none. */
export async function auditEvent(
  url: string,
  adminToken: string,
  requestId: string,
): Promise<Record<string, unknown> | undefined> {
  const response = await fetch(`${url}/admin/v1/audit-events/${requestId}`, {
    headers: { authorization: `Bearer ${adminToken}` },
  });
  const body = (await response.json()) as Record<string, unknown>;
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`audit event ${requestId}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

/** The reason in the audit behind the `request_id` of a refusal. */
export async function reasonOf(server: RunningServer, requestId: unknown): Promise<unknown> {
  const event = await auditEvent(server.url, server.adminToken(), String(requestId));
  return event?.reason;
}

/** Posts a form to the token endpoint, as a plain client does. */
export async function postToken(
  url: string,
  form: Readonly<Record<string, string>>,
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

/** How the audit names a token: SHA-256, base64url. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
