/**
 * A stand-in for a Kubernetes API server: a real https server that answers TokenReviews and TokenRequests as one does. It
 * verifies the token's own signature, looks at the reviewer's token and rights, and knows which accounts are deleted.
 */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { compactVerify, importJWK } from 'jose';
import { makeAuthority } from './issuer-double-tls.ts';
import { kubernetesClaims, makeKey, signToken, type TestKey, testNowSeconds } from './tokens.ts';

export interface ApiServerDouble {
  readonly url: string;
  /** PEM of the authority that signed its certificate. */
  readonly caCertificate: string;
  /** Of which it signs service account tokens. */
  readonly key: TestKey;
  /** The only token that may create tokenreviews. */
  readonly reviewerToken: string;
  /** Of a service account that may not. */
  readonly otherToken: string;
  /** Service accounts, `namespace:name`, that are gone. */
  readonly deleted: Set<string>;
  /** What was asked for. */
  readonly asked: { readonly audiences: readonly string[] }[];
  /** Changes the status or the user before it is sent. */
  alter: ((status: ReviewStatus) => unknown) | undefined;
  close(): Promise<void>;
}

export interface ReviewStatus {
  authenticated: boolean;
  audiences?: string[];
  user?: { username: string; uid: string; groups: string[]; extra: Record<string, string[]> };
}

interface AccountClaims {
  readonly sub: string;
  readonly aud: string | string[];
  readonly exp: number;
  readonly 'kubernetes.io': {
    readonly namespace: string;
    readonly serviceaccount: { readonly name: string; readonly uid: string };
    readonly pod?: { readonly name: string; readonly uid: string };
  };
}

const tokenRequestPath = /^POST \/api\/v1\/namespaces\/([^/]+)\/serviceaccounts\/([^/]+)\/token$/;

/** Starts the double on loopback. */
export async function startApiServerDouble(
  issuer: string,
  nowSeconds = () => testNowSeconds,
): Promise<ApiServerDouble> {
  const authority = await makeAuthority('CN=kubernetes-ca');
  const key = await makeKey('sa-key', 'RS256');
  const publicKey = await importJWK(key.publicJwk, 'RS256');
  const accountToken = (name: string) =>
    signToken(
      key,
      kubernetesClaims(issuer, 'https://kubernetes.default.svc', {
        sub: `system:serviceaccount:mintmark:${name}`,
      }),
    );
  const reviewerToken = await accountToken('mintmark-token-review');
  const otherToken = await accountToken('default');

  async function statusOf(token: string, audiences: readonly string[]): Promise<ReviewStatus> {
    let claims: AccountClaims;
    try {
      const { payload } = await compactVerify(token, publicKey);
      claims = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      return { authenticated: false };
    }
    const { namespace, serviceaccount, pod } = claims['kubernetes.io'];
    const shared = [claims.aud].flat().filter((audience) => audiences.includes(audience));
    const isGone = double.deleted.has(`${namespace}:${serviceaccount.name}`);
    if (shared.length === 0 || isGone || claims.exp <= nowSeconds()) return { authenticated: false };
    return {
      authenticated: true,
      audiences: shared,
      user: {
        username: claims.sub,
        uid: serviceaccount.uid,
        groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
        extra: pod
          ? {
              'authentication.kubernetes.io/pod-name': [pod.name],
              'authentication.kubernetes.io/pod-uid': [pod.uid],
            }
          : {},
      },
    };
  }

  function requestedToken(
    namespace: string,
    name: string,
    spec: { readonly audiences: string[]; readonly expirationSeconds: number },
  ): Promise<string> {
    const iat = nowSeconds();
    const claims = {
      sub: `system:serviceaccount:${namespace}:${name}`,
      ...{ iat, nbf: iat, exp: iat + spec.expirationSeconds },
      'kubernetes.io': { namespace, serviceaccount: { name, uid: crypto.randomUUID() } },
    };
    return signToken(key, kubernetesClaims(issuer, spec.audiences, claims));
  }

  const server = createServer(await authority.issue('localhost'), async (request, response) => {
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const { authorization } = request.headers;
    if (authorization !== `Bearer ${reviewerToken}`) {
      return send(authorization === `Bearer ${otherToken}` ? 403 : 401, {
        kind: 'Status',
        status: 'Failure',
      });
    }
    const [, namespace, name] = tokenRequestPath.exec(`${request.method} ${request.url}`) ?? [];
    if (namespace !== undefined && name !== undefined) {
      const { apiVersion, kind, spec } = JSON.parse(text);
      const token = await requestedToken(namespace, name, spec);
      return send(201, { apiVersion, kind, spec, status: { token } });
    }
    if (request.method !== 'POST' || request.url !== '/apis/authentication.k8s.io/v1/tokenreviews') {
      return send(404, { kind: 'Status', status: 'Failure' });
    }
    const { apiVersion, kind, spec } = JSON.parse(text);
    double.asked.push({ audiences: spec.audiences });
    const status = await statusOf(spec.token, spec.audiences);
    const altered = double.alter?.(structuredClone(status)) ?? status;
    return send(201, typeof altered === 'string' ? altered : { apiVersion, kind, spec, status: altered });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const double: ApiServerDouble = {
    url: `https://localhost:${port}`,
    caCertificate: authority.certificate,
    key,
    reviewerToken,
    otherToken,
    deleted: new Set(),
    asked: [],
    alter: undefined,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return double;
}
