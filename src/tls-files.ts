/** The certificate and key of in-process TLS: read whole, checked as a pair, and read again when their files are renewed. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Secret } from './core/secret.ts';

export interface TlsFiles {
  readonly certificatePath: string;
  readonly keyPath: string;
}

export interface TlsPair {
  /** PEM: our own certificate, and what stands between it and a public root. */
  readonly certificate: string;
  /** PEM. */
  readonly key: Secret<string>;
}

/** A pair, and where it is read again. */
export type TlsSettings = TlsPair & { readonly files: TlsFiles };

export class TlsPairMismatch extends Error {
  override readonly name = 'TlsPairMismatch';
}

/** Throws where a file cannot be read as PEM, and `TlsPairMismatch` for half a pair, which would show only when the first client calls. */
export function readTlsPair({ certificatePath, keyPath }: TlsFiles): TlsPair {
  return checkedPair(readFileSync(certificatePath, 'utf8'), readFileSync(keyPath, 'utf8'));
}

function checkedPair(certificate: string, key: string): TlsPair {
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    throw new TlsPairMismatch('the key is not that of the certificate');
  }
  return { certificate, key: new Secret(key) };
}

export interface TlsRenewalOptions {
  readonly pollMillis: number;
  /** Takes the new pair into use. */
  readonly onRenewed: (pair: TlsPair) => void;
  /** Told once of each pair that is refused; the one in use stays. */
  readonly onRefused: (error: unknown) => void;
}

/**
 * Looks at the files again and again: a mounted secret is swapped behind a link, which no watcher sees everywhere.
 * Returns how to stop.
 */
export function renewTls(
  files: TlsFiles,
  inUse: TlsPair,
  { pollMillis, onRenewed, onRefused }: TlsRenewalOptions,
): () => void {
  let current = `${inUse.certificate}\n${inUse.key.reveal()}`;
  let refused: string | undefined;

  async function look(): Promise<void> {
    let found: string | undefined;
    try {
      const [certificate, key] = await Promise.all([
        readFile(files.certificatePath, 'utf8'),
        readFile(files.keyPath, 'utf8'),
      ]);
      found = `${certificate}\n${key}`;
      if (found === current || found === refused) return;
      const pair = checkedPair(certificate, key);
      onRenewed(pair);
      current = found;
      refused = undefined;
    } catch (error) {
      // Files that cannot be read are told of again when they could be meanwhile.
      if (found === undefined && refused === '') return;
      refused = found ?? '';
      onRefused(error);
    }
  }

  const timer = setInterval(() => void look(), pollMillis).unref();
  return () => clearInterval(timer);
}

/** Both files or neither; undefined too where there is a problem, which is added. */
export function readTlsSettings(
  certificatePath: string | undefined,
  keyPath: string | undefined,
  problems: string[],
): TlsSettings | undefined {
  if (certificatePath === undefined && keyPath === undefined) return undefined;
  if (certificatePath === undefined || keyPath === undefined) {
    problems.push('MINTMARK_TLS_CERT and MINTMARK_TLS_KEY: give both or neither');
    return undefined;
  }
  const files = { certificatePath, keyPath };
  try {
    return { ...readTlsPair(files), files };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'error';
    problems.push(
      error instanceof TlsPairMismatch
        ? 'MINTMARK_TLS_KEY: is not the key of the certificate in MINTMARK_TLS_CERT'
        : `MINTMARK_TLS_CERT and MINTMARK_TLS_KEY: cannot be read as files in PEM (${code})`,
    );
    return undefined;
  }
}
