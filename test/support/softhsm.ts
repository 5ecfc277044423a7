/** Tokens of SoftHSM, each alone in a folder of its own: a real PKCS #11 library without the hardware. */
import { randomInt, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TokenSettings } from '../../src/adapters/pkcs11/token.ts';
import { run } from './processes.ts';

const places = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/local/lib/softhsm/libsofthsm2.so'];

export interface SoftHsm {
  readonly settings: TokenSettings;
  readonly pin: string;
  /** What a server needs to use it. */
  readonly environment: Record<string, string>;
  /** Puts a private key (PKCS #8, PEM) that was made outside into it. */
  importKey(pem: string, label: string, id: string): Promise<void>;
  /** Takes the token's files away, and brings them back. */
  unplug(): void;
  plugIn(): void;
  /** Another, empty token of the same label in its place. */
  replace(): Promise<void>;
  remove(): void;
}

/** Makes a token, and lets this process and its children find it. Rejects with what to install where there is no SoftHSM. */
export async function makeSoftHsm(
  options: { readonly sessions?: number; readonly configuration?: string } = {},
): Promise<SoftHsm> {
  const module = places.find((path) => existsSync(path));
  if (module === undefined) throw new Error('there is no SoftHSM (install softhsm2)');
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-softhsm-'));
  const [tokens, away] = [join(folder, 'tokens'), join(folder, 'away')];
  const configurationPath = join(folder, 'softhsm2.conf');
  const pinFile = join(folder, 'pin');
  const pin = String(randomInt(10_000_000, 99_999_999));
  const tokenLabel = 'mintmark-test';
  writeFileSync(configurationPath, `directories.tokendir = ${tokens}\n${options.configuration ?? ''}\n`);
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });
  process.env.SOFTHSM2_CONF = configurationPath;

  async function makeToken(): Promise<void> {
    await mkdir(tokens);
    const pins = ['--pin', pin, '--so-pin', '87654321'];
    await run('softhsm2-util', ['--init-token', '--free', '--label', tokenLabel, ...pins]);
  }
  await makeToken();
  return {
    settings: { module, tokenLabel, pinFile, sessions: options.sessions ?? 4 },
    pin,
    environment: {
      SOFTHSM2_CONF: configurationPath,
      MINTMARK_PKCS11_MODULE: module,
      MINTMARK_PKCS11_TOKEN_LABEL: tokenLabel,
      MINTMARK_PKCS11_PIN_FILE: pinFile,
    },
    importKey: async (pem, label, id) => {
      const path = join(folder, 'imported.pem');
      writeFileSync(path, pem);
      const name = ['--label', label, '--id', Buffer.from(id).toString('hex')];
      await run('softhsm2-util', ['--import', path, '--token', tokenLabel, '--pin', pin, ...name]);
    },
    unplug: () => renameSync(join(tokens, readdirSync(tokens)[0] ?? ''), away),
    plugIn: () => renameSync(away, join(tokens, randomUUID())),
    replace: async () => {
      rmSync(tokens, { recursive: true });
      await makeToken();
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The processes that hold a token for this one, or for the process of that id. */
export function tokenProcesses(parent = process.pid): readonly number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
  return children
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('token-process.ts'));
}
