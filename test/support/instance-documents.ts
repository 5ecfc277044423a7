/** EC2 instance identity documents as a region would sign them, with certificates that openssl makes on the spot. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testNowMillis } from './tokens.ts';

export interface RegionSigner {
  readonly certificate: string;
  readonly key: string;
}

const inFolder = <T>(work: (folder: string) => T): T => {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-cms-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });

export function makeRegionSigner(algorithm = 'rsa:2048'): RegionSigner {
  return inFolder((folder) => {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const curve = algorithm === 'ec' ? ['-pkeyopt', 'ec_paramgen_curve:P-256'] : [];
    const names = ['-subj', '/CN=region', '-keyout', key, '-out', certificate];
    openssl('req', '-x509', '-nodes', '-days', '2', '-newkey', algorithm, ...curve, ...names);
    return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
  });
}

/** The claims of a genuine document, pending for a minute. */
export const instanceClaims = {
  accountId: '123456789012',
  region: 'us-west-2',
  instanceId: 'i-0123456789abcdef0',
  pendingTime: pendingAt(testNowMillis - 60_000),
  instanceType: 't3.small',
  kernelId: null,
};

export function pendingAt(millis: number): string {
  return new Date(millis).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** DER. `options` are those of `openssl cms -sign`; as AWS does, content is embedded and certificates are not. */
export function signDocument(
  content: unknown,
  signers: readonly RegionSigner[],
  options: readonly string[] = ['-nodetach', '-nocerts'],
): Buffer {
  return inFolder((folder) => {
    const file = join(folder, 'content');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
    const by = signers.flatMap(({ key, certificate }, index) => {
      const path = join(folder, `${index}.pem`);
      writeFileSync(path, `${key}\n${certificate}`);
      return ['-signer', path];
    });
    const digest = options.includes('-md') ? [] : ['-md', 'sha256'];
    return openssl('cms', '-sign', '-binary', '-outform', 'DER', '-in', file, ...by, ...digest, ...options);
  });
}
