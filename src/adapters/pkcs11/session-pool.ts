/** One login to one token, and its sessions: each serves one call at a time. */
import { readFile } from 'node:fs/promises';
import { Secret } from '../../core/secret.ts';
import { osLockingOk, sessionFlags, userType } from './constants.ts';
import { type Cryptoki, CryptokiError, wordAt, words } from './cryptoki.ts';
import { TokenError, type TokenSettings } from './token.ts';

export interface SessionPool {
  readonly slot: number;
  /** Runs the work in a session of its own, once there is one. */
  withSession<T>(work: (session: bigint) => Promise<T>): Promise<T>;
}

const tokenLabelBytes = 32;
const tokenInfoBytes = 512; // CK_TOKEN_INFO is 208
const initializeArgsWords = 6;
const pinProblems = new Set([
  'CKR_PIN_INCORRECT',
  'CKR_PIN_INVALID',
  'CKR_PIN_LEN_RANGE',
  'CKR_PIN_EXPIRED',
  'CKR_PIN_LOCKED',
  'CKR_USER_PIN_NOT_INITIALIZED',
]);

/** Rejects, and says so, where there is not exactly one such token or it does not take the PIN. */
export async function openSessions(cryptoki: Cryptoki, settings: TokenSettings): Promise<SessionPool> {
  await cryptoki.call('C_Initialize', [words(initializeArgsWords, 0, 0, 0, 0, osLockingOk)]);
  const slot = await findSlot(cryptoki, settings.tokenLabel);
  const first = await openSession(cryptoki, slot);
  await logIn(cryptoki, first, settings);
  const idle = [first];
  while (idle.length < settings.sessions) idle.push(await openSession(cryptoki, slot));
  const waiting: ((session: bigint) => void)[] = []; // no longer than what the other process sends at once

  return {
    slot,
    withSession: async (work) => {
      const session = idle.pop() ?? (await new Promise<bigint>((resolve) => waiting.push(resolve)));
      try {
        return await work(session);
      } finally {
        const next = waiting.shift();
        if (next) next(session);
        else idle.push(session);
      }
    },
  };
}

async function findSlot(cryptoki: Cryptoki, tokenLabel: string): Promise<number> {
  const onlyWithToken = 1;
  const count = words(1);
  await cryptoki.call('C_GetSlotList', [onlyWithToken, null, count]);
  const slots = words(Math.max(wordAt(count, 0), 1));
  await cryptoki.call('C_GetSlotList', [onlyWithToken, slots, count]);
  const found: number[] = [];
  for (let index = 0; index < wordAt(count, 0); index++) {
    const slot = wordAt(slots, index);
    const info = Buffer.alloc(tokenInfoBytes);
    await cryptoki.call('C_GetTokenInfo', [slot, info]);
    // Padded with spaces.
    if (info.toString('utf8', 0, tokenLabelBytes).trimEnd() === tokenLabel) found.push(slot);
  }
  const [slot] = found;
  if (slot === undefined) {
    throw new TokenError('lost', `no token with the label ${JSON.stringify(tokenLabel)} is present`);
  }
  if (found.length > 1) {
    throw new TokenError('lost', `${found.length} tokens have the label ${JSON.stringify(tokenLabel)}`);
  }
  return slot;
}

async function openSession(cryptoki: Cryptoki, slot: number): Promise<bigint> {
  const session = words(1);
  await cryptoki.call('C_OpenSession', [slot, sessionFlags, null, null, session]);
  return session.readBigUInt64LE();
}

/** The login holds for all sessions of this process. */
async function logIn(cryptoki: Cryptoki, session: bigint, { pinFile }: TokenSettings): Promise<void> {
  const pin = await readPin(pinFile);
  try {
    await cryptoki.call('C_Login', [session, userType, pin.reveal(), pin.reveal().length]);
  } catch (error) {
    if (!(error instanceof CryptokiError) || !pinProblems.has(error.returnValue)) throw error;
    throw new TokenError('refused', `the token does not accept the PIN (${error.returnValue})`);
  } finally {
    pin.reveal().fill(0);
  }
}

async function readPin(path: string): Promise<Secret<Buffer>> {
  try {
    const bytes = await readFile(path);
    const line = bytes.toString('latin1').replace(/\r?\n$/, '');
    const pin = Buffer.alloc(line.length, line, 'latin1');
    bytes.fill(0);
    return new Secret(pin);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'error';
    throw new TokenError('lost', `the file of the PIN cannot be read (${code})`);
  }
}
