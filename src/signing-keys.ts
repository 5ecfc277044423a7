/** Opens the keys that this server signs with: in software, or in a PKCS #11 token. */
import type { FastifyBaseLogger } from 'fastify';
import { openTokenKeys } from './adapters/pkcs11/open.ts';
import { TokenError } from './adapters/pkcs11/token.ts';
import { openTokenQueue, type TokenQueue } from './adapters/pkcs11/token-queue.ts';
import { openSoftwareKeys, type SoftwareKeysConfig } from './adapters/software-keys/open.ts';
import { type Config, ConfigRefused } from './config.ts';
import type { TurningKeyRing } from './core/ports.ts';
import type { ReadinessCheck } from './http/dependencies.ts';
import type { Pkcs11Settings } from './pkcs11-settings.ts';

export interface SigningKeys {
  readonly keyRing: TurningKeyRing;
  /** Whether the token signs, where there is one. */
  readonly readiness: readonly ReadinessCheck[];
  readonly close: () => Promise<void>;
}

/** So long a signature answers for the next question after the token. */
const answerMillis = 1_000;

/** Rejects, and says so, where the token cannot be opened or a stored key cannot be used. */
export async function openSigningKeys(
  config: Pick<Config, 'issuer' | 'pkcs11'>,
  software: SoftwareKeysConfig,
  logger: FastifyBaseLogger,
): Promise<SigningKeys> {
  if (config.pkcs11 === undefined) {
    return { keyRing: await openSoftwareKeys(software), readiness: [], close: async () => {} };
  }
  const { keyEncryptionKey: _unused, ...ring } = software;
  const log = (message: string, details: object) => logger.warn(details, message);
  const token = await openToken(config.pkcs11, log);
  try {
    // The issuer tells apart installations that share a token.
    const keyRing = await openTokenKeys({ ...ring, token, label: `mintmark ${config.issuer}`, log });
    return { keyRing, readiness: [readinessOf(token, keyRing)], close: token.close };
  } catch (error) {
    await token.close();
    throw error;
  }
}

async function openToken(
  settings: Pkcs11Settings,
  log: (message: string, details: object) => void,
): Promise<TokenQueue> {
  try {
    return await openTokenQueue(settings, log);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    const name = error.problem === 'refused' ? 'MINTMARK_PKCS11_PIN_FILE' : 'MINTMARK_PKCS11_MODULE';
    throw new ConfigRefused([`${name}: ${error.message}`]);
  }
}

function readinessOf(token: TokenQueue, keyRing: TurningKeyRing): ReadinessCheck {
  const run = async () => {
    const problem = token.problem();
    if (problem) throw problem;
    if (token.hasSignedWithin(answerMillis)) return;
    const key = keyRing.list().find(({ state }) => state === 'active');
    await keyRing.signer(key?.algorithm).sign(Buffer.from('mintmark readiness')); // no dot: never a token
  };
  return { name: 'signing_token', run, isEssential: true };
}
