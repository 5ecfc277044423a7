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
  /** For JWT-SVIDs alone. */
  readonly svidKeyRing: TurningKeyRing;
  /** Whether the token signs, where there is one. */
  readonly readiness: readonly ReadinessCheck[];
  readonly close: () => Promise<void>;
}

/** So long a signature answers for the next question after the token. */
const answerMillis = 1_000;

type RingOptions = Pick<SoftwareKeysConfig, 'keyStore' | 'readAt' | 'algorithms'>;

/** Each ring has its own store and its own part of the token. Rejects, and says so, where the token cannot be opened or a stored key cannot be used. */
export async function openSigningKeys(
  config: Pick<Config, 'issuer' | 'pkcs11'>,
  common: Omit<SoftwareKeysConfig, keyof RingOptions>,
  rings: { readonly keyRing: RingOptions; readonly svidKeyRing: RingOptions },
  logger: FastifyBaseLogger,
): Promise<SigningKeys> {
  if (config.pkcs11 === undefined) {
    const keyRing = await openSoftwareKeys({ ...common, ...rings.keyRing });
    const svidKeyRing = await openSoftwareKeys({ ...common, ...rings.svidKeyRing, format: 'jwt-svid' });
    return { keyRing, svidKeyRing, readiness: [], close: async () => {} };
  }
  const { clock, life } = common;
  const log = (message: string, details: object) => logger.warn(details, message);
  const token = await openToken(config.pkcs11, log);
  try {
    // The issuer tells apart installations that share a token; a ring destroys what has its label and is none of its keys.
    const label = `mintmark ${config.issuer}`;
    const keyRing = await openTokenKeys({ ...rings.keyRing, clock, life, token, label, log });
    const svidLabel = `${label} jwt-svid`;
    const svidKeyRing = await openTokenKeys({
      ...rings.svidKeyRing,
      clock,
      life,
      token,
      label: svidLabel,
      log,
    });
    return { keyRing, svidKeyRing, readiness: [readinessOf(token, keyRing)], close: token.close };
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
