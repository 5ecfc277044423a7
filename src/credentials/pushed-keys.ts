/** Checks a key set that an issuer pushes: every key must be one that its tokens can be verified with. */
import { OAuthError } from '../core/error.ts';
import type { CheckPushedKeys } from '../core/issuer-keys.ts';
import { inlineKeysProblems } from '../core/policy/inline-keys.ts';
import { echo, echoAll } from './echo.ts';
import { type KeySet, readKeySet } from './jwk.ts';
import { readCompactJws } from './jwt.ts';
import { verifySignature } from './signature.ts';

export const checkPushedKeys: CheckPushedKeys = async (jwks, token, platform) => {
  const problems = inlineKeysProblems(jwks, [], 'sig');
  if (problems.length > 0) return problems;
  const set = readKeySet(jwks, 'sig');
  const unfit = jwks.keys.flatMap(({ kid }, index) => {
    const message = unfitness(set, kid, platform.algorithms);
    return message === undefined ? [] : [{ path: ['keys', index], message }];
  });
  if (unfit.length > 0) return unfit;
  if (await isSignedByOneOf(set, token.reveal())) return [];
  const message =
    'must still hold the key that signed the token of this push: while keys rotate, publish both the old and the new';
  return [{ path: ['keys'], message }];
};

function unfitness(set: KeySet, kid: unknown, algorithms: readonly string[]): string | undefined {
  const key = set.keys.find((candidate) => candidate.kid === kid);
  if (key === undefined) {
    const why = typeof kid === 'string' ? set.refused.get(kid) : undefined;
    return `would not be used: ${why ?? 'it has no kid'}`;
  }
  if (key.algorithms.some((algorithm) => algorithms.includes(algorithm))) return undefined;
  return `is for ${echoAll(key.algorithms)}, and the platform signs with ${echoAll(algorithms)}: kid ${echo(kid)}`;
}

async function isSignedByOneOf(set: KeySet, token: string): Promise<boolean> {
  try {
    await verifySignature(readCompactJws(token), { keys: () => set, keysAfterMiss: async () => set });
    return true;
  } catch (error) {
    if (error instanceof OAuthError) return false;
    throw error;
  }
}
