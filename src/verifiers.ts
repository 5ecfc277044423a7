/** Everything that proves who is calling: credentials, tokens of our own, and keys that a caller holds. */
import { openCallPlatform } from './adapters/net/call-platform.ts';
import { readTokenFile } from './adapters/token-file/read.ts';
import type { Config } from './config.ts';
import type { VerifySubject } from './core/caller.ts';
import type { KeyRing, ReplayGuard, Revocations, Verify, VerifyDpop, VerifyOwnToken } from './core/ports.ts';
import type { Secret } from './core/secret.ts';
import { createVerifyDpop } from './credentials/dpop.ts';
import { createDpopNonces, type DpopNonces } from './credentials/dpop-nonce.ts';
import type { KeySets } from './credentials/jwks.ts';
import { createVerifyOwnToken } from './credentials/own-token.ts';
import { platforms } from './credentials/platforms/index.ts';
import { createVerifySubject } from './credentials/subject-token.ts';
import { createVerifier, type VerifierOptions } from './credentials/verify.ts';

export interface VerifierParts {
  readonly config: Pick<Config, 'issuer' | 'trustDomain'>;
  readonly keySets: KeySets;
  readonly keyRing: KeyRing;
  readonly keyEncryptionKey: Secret<Uint8Array>;
  readonly revocations: Revocations;
  readonly replayGuard: ReplayGuard;
  /** Stands around every verification of a credential, for those who watch how long it takes. */
  readonly watch?: ((verify: Verify) => Verify) | undefined;
}

export interface Verifiers {
  readonly options: VerifierOptions;
  readonly verify: Verify;
  readonly verifyOwnToken: VerifyOwnToken;
  readonly verifySubject: VerifySubject;
  readonly dpopNonces: DpopNonces;
  readonly verifyDpop: VerifyDpop;
  /** The same without a nonce: a proxy passes on no header that would tell its client one. */
  readonly verifyProxiedDpop: VerifyDpop;
}

export function openVerifiers(parts: VerifierParts): Verifiers {
  const { keySets, keyRing, keyEncryptionKey, revocations, replayGuard } = parts;
  const { issuer, trustDomain } = parts.config;
  const options = {
    keySets,
    issuer,
    trustDomain,
    platforms,
    callPlatform: openCallPlatform(),
    readTokenFile,
  };
  const { watch = (inner) => inner } = parts;
  const verify = watch(createVerifier(options));
  const verifyOwnToken = createVerifyOwnToken({ issuer, keyRing, revocations });
  const dpopNonces = createDpopNonces(keyEncryptionKey);
  return {
    options,
    verify,
    verifyOwnToken,
    verifySubject: createVerifySubject({ issuer, verify, verifyOwnToken }),
    dpopNonces,
    verifyDpop: createVerifyDpop({ replayGuard, nonces: dpopNonces }),
    verifyProxiedDpop: createVerifyDpop({ replayGuard }),
  };
}
