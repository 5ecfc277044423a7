/** Who is asking? Turns a credential into a proven identity, by what the credential is and never by how it was sent. */
import { refuse } from '../core/error.ts';
import type { Platform } from '../core/platform.ts';
import type { CallPlatform, ReadTokenFile, Verify } from '../core/ports.ts';
import { echo } from './echo.ts';
import type { KeySets } from './jwks.ts';
import { readCompactJws } from './jwt.ts';
import { verifyJwtSvid } from './jwt-svid.ts';
import { verifyPlatformProof } from './platform-proof.ts';
import { verifyPlatformToken } from './platform-token.ts';
import { stringClaim } from './token-claims.ts';
import { verifyX509Svid } from './x509-svid.ts';

export interface VerifierOptions {
  readonly keySets: KeySets;
  /** Our own issuer identifier, exactly as it is published. */
  readonly issuer: string;
  readonly trustDomain: string;
  /** The platforms among which one with a proof of its own is recognised. */
  readonly platforms: readonly Platform[];
  readonly callPlatform: CallPlatform;
  readonly readTokenFile: ReadTokenFile;
}

/**
 * A token whose `sub` is a SPIFFE ID goes to that trust domain alone, any other to the issuers registered for its exact
 * `iss`. So no platform can speak for a trust domain, and no trust domain for a platform.
 */
export function createVerifier(options: VerifierOptions): Verify {
  return async (credential, policy, nowMillis) => {
    if (credential.chain !== undefined) {
      return verifyX509Svid(credential.chain, policy, nowMillis, options);
    }
    const text = credential.token.reveal();
    const platform = options.platforms.find(({ proof }) => proof?.recognises(text));
    if (platform !== undefined)
      return verifyPlatformProof(text, platform, credential, policy, nowMillis, options);
    if (options.platforms.some(({ proof }) => proof?.declaredType === credential.declaredType)) {
      refuse('credential.type_mismatch', `declared ${credential.declaredType}, but it is none`);
    }
    const jws = readCompactJws(text);
    const subject = stringClaim(jws.claims, 'sub') || refuse('credential.claim_missing', 'sub');
    if (stringClaim(jws.claims, 'iss') === options.issuer) {
      refuse('credential.unknown_issuer', 'iss: a token of our own is no credential');
    }
    // In any case of letters: what looks like a SPIFFE ID must be one or nothing.
    if (/^spiffe:/i.test(subject)) {
      return verifyJwtSvid(jws, subject, credential, policy, nowMillis, options);
    }
    if (credential.declaredType === 'jwt-svid') {
      refuse('credential.type_mismatch', `declared a JWT-SVID, but sub is ${echo(subject)}`);
    }
    return verifyPlatformToken(jws, subject, credential, policy, nowMillis, options);
  };
}
