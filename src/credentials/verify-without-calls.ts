/** The real verification of a credential for a question about it: it asks no platform, so that asking proves and uses up nothing. */
import type { VerifyWithoutCalls } from '../core/explain.ts';
import { createVerifier, type VerifierOptions } from './verify.ts';

/** Answers undefined as soon as a platform would have to be asked, whatever the verification makes of the silence. */
export function createVerifyWithoutCalls(
  options: Omit<VerifierOptions, 'callPlatform' | 'readTokenFile'>,
): VerifyWithoutCalls {
  return async (credential, policy, nowMillis) => {
    let isAsked = false;
    const ask = () => {
      isAsked = true;
      return Promise.reject(new Error('no platform is asked for an explanation'));
    };
    const verify = createVerifier({ ...options, callPlatform: ask, readTokenFile: ask });
    try {
      const identity = await verify(credential, policy, nowMillis);
      return isAsked ? undefined : identity;
    } catch (error) {
      if (isAsked) return undefined;
      throw error;
    }
  };
}
