/** A first policy for a platform: an Issuer, a Resource, a Grant and a PolicyTest, each as small as it can be. */
import { OAuthError } from '../../core/error.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Platform } from '../../core/platform.ts';
import { compilePolicy } from '../../core/policy/compile.ts';
import { PolicyRefused } from '../../core/policy/refused.ts';
import type { PolicyContext, PolicySnapshot } from '../../core/policy/snapshot.ts';
import type { Suppose } from '../../core/supposed.ts';
import { CommandFailure } from '../exit.ts';
import { policyFailure } from '../read-policy-sources.ts';
import type { PlatformExample } from './example.ts';
import { requiredClaims } from './required-claims.ts';

export interface FirstPolicyParts {
  readonly platform: Platform;
  readonly example: PlatformExample;
  /** Of the Issuer document. */
  readonly name: string;
  readonly audience: string;
  readonly scope: string;
  /** undefined: by discovery. */
  readonly keys: Json | undefined;
  readonly context: PolicyContext;
  readonly suppose: Suppose;
  readonly nowMillis: number;
}

export interface FirstPolicy {
  readonly issuer: JsonObject;
  readonly resource: JsonObject;
  readonly grant: JsonObject;
  readonly policyTest: JsonObject;
}

/** What says nothing of the workload: a test supposes it anew. */
const ofTheToken = ['iss', 'aud', 'exp', 'iat', 'nbf', 'jti'];

/** Throws `CommandFailure` where the platform's rules refuse the example's claims. */
export function firstPolicy(parts: FirstPolicyParts): FirstPolicy {
  const { platform, example, name, audience, scope, keys, context } = parts;
  const told = withoutNames(example.claims, ofTheToken);
  const require = requiredClaims(platform, told);
  const issuer = document('Issuer', name, {
    platform: platform.name,
    issuer: example.issuer,
    ...(example.audiences === undefined ? {} : { audiences: [...example.audiences] }),
    ...(keys === undefined ? {} : { keys }),
    ...(platform.proof?.replayable === undefined ? {} : { acknowledgeReplayable: true }),
    require,
  });
  const snapshot = compileAlone(issuer, context);
  const identityOf = (claims: JsonObject) =>
    parts.suppose({ issuer: name, claims }, snapshot, parts.nowMillis).spiffeId;
  const spiffeId = unlessRefused(() => identityOf(told));
  const claims = leastClaims(told, (fewer) => isSame(() => identityOf(fewer), spiffeId));
  const [required = ''] = Object.keys(require);
  return {
    issuer,
    resource: document('Resource', 'first-service', { audience, scopes: [scope], tokenLifetime: '10m' }),
    grant: document('Grant', `${name}-on-first-service`, {
      subjects: [{ spiffeId }],
      resource: 'first-service',
      scopes: [scope],
    }),
    policyTest: {
      ...document('PolicyTest', `${name}-on-first-service`, {}),
      spec: [
        {
          name: 'the workload gets what it is granted',
          given: { issuer: name, claims },
          request: { audience, scope },
          expect: { permit: true, subject: spiffeId, scope },
        },
        {
          name: `another ${required} gets nothing`,
          given: { issuer: name, claims: withOther(claims, required, require[required]) },
          request: { audience, scope },
          expect: { permit: false },
        },
      ],
    },
  };
}

function document(kind: string, name: string, spec: JsonObject) {
  return { apiVersion: 'mintmark/v1', kind, metadata: { name }, spec };
}

function compileAlone(issuer: JsonObject, context: PolicyContext): PolicySnapshot {
  try {
    return compilePolicy([{ value: issuer, managedBy: 'rest', locate: () => ({}) }], context, 0);
  } catch (error) {
    throw error instanceof PolicyRefused ? policyFailure(error) : error;
  }
}

function unlessRefused(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    throw new CommandFailure(`no policy of this platform would accept such a token: ${error.message}`);
  }
}

function isSame(read: () => string, spiffeId: string): boolean {
  try {
    return read() === spiffeId;
  } catch {
    return false;
  }
}

function withoutNames(claims: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
}

/** Without what identity does not need: a token says more of people than a file should. */
function leastClaims(claims: JsonObject, isEnough: (fewer: JsonObject) => boolean): JsonObject {
  let least = claims;
  for (const name of Object.keys(claims)) {
    const fewer = withoutNames(least, [name]);
    if (isEnough(fewer)) least = fewer;
  }
  return least;
}

/** The claims with another value at the path of a required one. */
function withOther(claims: JsonObject, path: string, value: string | undefined): JsonObject {
  const changed = JSON.parse(JSON.stringify(claims), (key, inner: Json) =>
    inner === value && (path === key || path.endsWith(`.${key}`)) ? `${value}-another` : inner,
  );
  return changed as JsonObject;
}
