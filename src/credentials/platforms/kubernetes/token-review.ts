/** Asks the cluster's API server about a token (TokenReview, authentication.k8s.io/v1), for clusters whose keys cannot be read. */
import { z } from 'zod';
import { type Reason, refuse } from '../../../core/error.ts';
import { isJsonObject, type Json } from '../../../core/json.ts';
import type { ReviewPorts, TokenUnderReview } from '../../../core/platform.ts';

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const apiVersion = 'authentication.k8s.io/v1';

const statusSchema = z.object({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('TokenReview'),
  status: z.object({
    authenticated: z.boolean().default(false),
    error: z.string().optional(),
    audiences: z.array(z.string()).default([]),
    user: z
      .object({
        username: z.string().default(''),
        uid: z.string().default(''),
        groups: z.array(z.string()).default([]),
        extra: z.record(z.string(), z.array(z.string())).default({}),
      })
      .optional(),
  }),
});
type Status = z.infer<typeof statusSchema>['status'];
type User = NonNullable<Status['user']>;

/**
 * Resolves when the API server knows the token, for one of our audiences, as the service account and pod that its claims
 * name. Throws `credential.signature_invalid`, `.audience_mismatch` or `.platform_refused`, and
 * `credential.platform_unavailable` where the server cannot be asked: that it refuses our own token is not the caller's fault.
 */
export async function review(reviewed: TokenUnderReview, ports: ReviewPorts): Promise<void> {
  const { authenticated, audiences, user } = await ask(reviewed, ports);
  if (!authenticated || user === undefined) {
    return refuse('credential.signature_invalid', 'the API server does not know the token');
  }
  // An API server that knows no audiences returns none, and has not checked any.
  if (!audiences.some((audience) => reviewed.audiences.includes(audience))) {
    return refuse('credential.audience_mismatch', 'the API server does not say that the token is for us');
  }
  const refusal = accountRefusal(user, reviewed.claims['kubernetes.io']);
  if (refusal !== undefined) refuse('credential.platform_refused', `kubernetes: ${refusal}`);
}

async function ask(
  reviewed: TokenUnderReview,
  { callPlatform, readTokenFile }: ReviewPorts,
): Promise<Status> {
  const { url, token, audiences, tokenFile, caCertificate, allowPrivateHosts } = reviewed;
  const unavailable = (detail: string, cause?: unknown) =>
    refuse('credential.platform_unavailable' satisfies Reason, detail, cause);
  const ownToken = await readTokenFile(tokenFile).catch((cause: unknown) =>
    unavailable('our own token cannot be read from tokenFile', cause),
  );
  const { status, body } = await callPlatform({
    method: 'POST',
    url: `${url.replace(/\/$/, '')}${path}`,
    headers: {
      authorization: `Bearer ${ownToken}`,
      'content-type': 'application/json',
      accept: 'application/json',
    },
    body: JSON.stringify({ apiVersion, kind: 'TokenReview', spec: { token, audiences } }),
    ...(caCertificate === undefined ? {} : { caCertificate }),
    ...(allowPrivateHosts === undefined ? {} : { allowPrivateHosts }),
  }).catch((cause: unknown) => unavailable('the API server could not be asked', cause));
  if (status === 401) return unavailable('the API server does not accept our own token (401)');
  if (status === 403) return unavailable('our own service account may not create tokenreviews (403)');
  if (status !== 200 && status !== 201) return unavailable(`the API server answered with status ${status}`);
  const answer = statusSchema.safeParse(readJson(body));
  return answer.success ? answer.data.status : unavailable('the API server’s answer is no TokenReview');
}

/** Each claim that an identity may rest on must be what the API server says, or be absent from both. */
function accountRefusal(
  { username, uid, groups, extra }: User,
  details: Json | undefined,
): string | undefined {
  const [system, kind, namespace, name, ...rest] = username.split(':');
  if (system !== 'system' || kind !== 'serviceaccount' || !namespace || !name || rest.length > 0) {
    return 'the user is no service account';
  }
  if (!groups.includes('system:serviceaccounts')) return 'the user is not in system:serviceaccounts';
  if (!isJsonObject(details)) return 'no kubernetes.io claim: not a token of the TokenRequest API';
  const extraOf = (key: string) => {
    const values = extra[`authentication.kubernetes.io/${key}`] ?? [];
    return values.length > 1 ? null : values[0];
  };
  const expected: Record<string, Json | undefined> = {
    namespace,
    'serviceaccount.name': name,
    'serviceaccount.uid': uid,
    'pod.name': extraOf('pod-name'),
    'pod.uid': extraOf('pod-uid'),
    'node.name': extraOf('node-name'),
    'node.uid': extraOf('node-uid'),
  };
  const differing = Object.entries(expected).find(([claim, value]) => valueAt(details, claim) !== value);
  return differing && `${differing[0]} is not what the API server says`;
}

function valueAt(details: Json, claim: string): Json | undefined {
  return claim
    .split('.')
    .reduce<Json | undefined>((value, key) => (isJsonObject(value) ? value[key] : undefined), details);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
