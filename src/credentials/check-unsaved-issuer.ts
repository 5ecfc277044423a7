/** Checks a token against an Issuer document that is not in force: its keys are fetched for this check alone, and kept nowhere. */
import type { CheckIssuer } from '../core/issuer-check.ts';
import { createCheckIssuer } from './check-issuer.ts';
import { type KeySetsOptions, openKeySets } from './jwks.ts';
import { createVerifier, type VerifierOptions } from './verify.ts';

/** The policy of each check is the one that the document would make. */
export function createCheckUnsavedIssuer(
  keys: Pick<KeySetsOptions, 'fetchDocument' | 'clock'>,
  options: Omit<VerifierOptions, 'keySets'>,
): CheckIssuer {
  return async (token, issuer, policy, nowMillis) => {
    const keySets = openKeySets(keys);
    try {
      const context = { ...options, keySets };
      return await createCheckIssuer(createVerifier(context), context)(token, issuer, policy, nowMillis);
    } finally {
      keySets.close();
    }
  };
}
