/** The settings of a PKCS #11 token, and what is wrong with them. */
import { accessSync, constants } from 'node:fs';
import { isAbsolute } from 'node:path';

export interface Pkcs11Settings {
  readonly module: string;
  readonly tokenLabel: string;
  readonly pinFile: string;
  readonly sessions: number;
}

const defaultSessions = 4;
const maxLabelBytes = 32; // CK_TOKEN_INFO has no more

/** Undefined where the keys are not in a token, or where there is a problem, which is added. The PIN itself is not read. */
export function readPkcs11Settings(
  module: string | undefined,
  tokenLabel: string | undefined,
  pinFile: string | undefined,
  sessions: number | undefined,
  problems: string[],
): Pkcs11Settings | undefined {
  if (module === undefined && tokenLabel === undefined && pinFile === undefined) {
    if (sessions !== undefined) {
      problems.push('MINTMARK_PKCS11_SESSIONS: has no use without MINTMARK_PKCS11_MODULE');
    }
    return undefined;
  }
  if (module === undefined || tokenLabel === undefined || pinFile === undefined) {
    problems.push(
      'MINTMARK_PKCS11_MODULE, MINTMARK_PKCS11_TOKEN_LABEL and MINTMARK_PKCS11_PIN_FILE: give all three or none',
    );
    return undefined;
  }
  const before = problems.length;
  if (isAbsolute(module)) requireReadable('MINTMARK_PKCS11_MODULE', module, problems);
  else problems.push('MINTMARK_PKCS11_MODULE: is not the absolute path of a library');
  if (Buffer.byteLength(tokenLabel) > maxLabelBytes) {
    problems.push(
      `MINTMARK_PKCS11_TOKEN_LABEL: is longer than the ${maxLabelBytes} bytes of a token's label`,
    );
  }
  requireReadable('MINTMARK_PKCS11_PIN_FILE', pinFile, problems);
  return problems.length > before
    ? undefined
    : { module, tokenLabel, pinFile, sessions: sessions ?? defaultSessions };
}

function requireReadable(name: string, path: string, problems: string[]): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'error';
    problems.push(`${name}: cannot be read (${code})`);
  }
}
