import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigRefused, readConfig } from '../../src/config.ts';
import { makeAuthority } from '../support/issuer-double-tls.ts';
import { makeSpiffeAuthority } from '../support/spiffe-authority.ts';

const folder = mkdtempSync(join(tmpdir(), 'mintmark-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const key = Buffer.alloc(32, 1).toString('base64');
const shared = { DATABASE_URL: 'postgresql://u:canary@db/m', MINTMARK_KEY_ENCRYPTION_KEY: key };

const problemsOf = (environment: Record<string, string>) => {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    return error.problems;
  }
};

/** Files that are there; whether they are a library and a PIN shows when the token is opened. */
const tokenSettings = {
  MINTMARK_PKCS11_MODULE: import.meta.filename,
  MINTMARK_PKCS11_TOKEN_LABEL: 'mintmark',
  MINTMARK_PKCS11_PIN_FILE: import.meta.filename,
};

describe('readConfig', () => {
  it('takes a token with four sessions unless told otherwise, and none by default', () => {
    expect(readConfig({}).pkcs11).toBeUndefined();
    expect(readConfig(tokenSettings).pkcs11).toMatchObject({ tokenLabel: 'mintmark', sessions: 4 });
    expect(readConfig({ ...tokenSettings, MINTMARK_PKCS11_SESSIONS: '64' }).pkcs11?.sessions).toBe(64);
  });

  it('needs nothing', () => {
    expect(readConfig({})).toMatchObject({
      issuer: 'http://127.0.0.1:8080',
      trustDomain: '127.0.0.1',
      listen: { host: '127.0.0.1', port: 8080 },
      dataDir: '.mintmark',
      databaseUrl: undefined,
      redisUrl: undefined,
      adminToken: undefined,
      trustedProxies: [],
    });
  });

  it('takes the issuer from where it listens, and the trust domain from the issuer', () => {
    expect(readConfig({ MINTMARK_LISTEN: 'localhost:9' })).toMatchObject({ issuer: 'http://localhost:9' });
    expect(readConfig({ MINTMARK_ISSUER: 'https://sts.example' })).toMatchObject({
      trustDomain: 'sts.example',
    });
    expect(readConfig({ MINTMARK_LISTEN: '[::1]:9', MINTMARK_TRUST_DOMAIN: 'a' })).toMatchObject({
      issuer: 'http://[::1]:9',
    });
  });

  it('refuses a life of keys under which tokens would not verify', () => {
    expect(
      problemsOf({
        MINTMARK_KEY_PREPUBLISH: '359s',
        MINTMARK_KEY_RETENTION: '24h',
        MINTMARK_KEY_ROTATION: '5m',
      }),
    ).toEqual([
      expect.stringContaining('MINTMARK_KEY_PREPUBLISH: must be at least 360s'),
      expect.stringContaining('MINTMARK_KEY_RETENTION: must be at least 86460s'),
      'MINTMARK_KEY_ROTATION: must not be shorter than MINTMARK_KEY_PREPUBLISH',
    ]);
    expect(problemsOf({ MINTMARK_KEY_PREPUBLISH: '6m', MINTMARK_KEY_ROTATION: '6m' })).toEqual([]);
  });

  it('ignores what Kubernetes injects for a Service of that name, and empty variables', () => {
    expect(
      problemsOf({
        MINTMARK_PORT: 'tcp://10.0.0.1:80',
        MINTMARK_PORT_80_TCP: 'tcp://10.0.0.1:80',
        MINTMARK_SERVICE_HOST: '10.0.0.1',
        MINTMARK_POLICY: '',
      }),
    ).toEqual([]);
  });

  it('reads secrets from files, and hides them', () => {
    const path = join(folder, 'key');
    writeFileSync(path, `${key}\n`);
    const config = readConfig({ DATABASE_URL: shared.DATABASE_URL, MINTMARK_KEY_ENCRYPTION_KEY_FILE: path });
    expect(config.keyEncryptionKey?.reveal()).toEqual(new Uint8Array(32).fill(1));
    const swapped = readConfig({
      ...shared,
      MINTMARK_KEY_ENCRYPTION_KEY: '02'.repeat(32),
      MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY_FILE: path,
    });
    expect(swapped.previousKeyEncryptionKey?.reveal()).toEqual(new Uint8Array(32).fill(1));
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toMatch(/canary|AQEB/);
  });

  it.each([
    ['an unknown name', { MINTMARK_POLICIES: 'x' }, 'MINTMARK_POLICIES: is not a setting of this version'],
    ['an issuer over http', { MINTMARK_ISSUER: 'http://sts.example' }, 'MINTMARK_ISSUER: must be https'],
    [
      'an issuer with a path',
      { MINTMARK_ISSUER: 'https://sts.example/a' },
      'MINTMARK_ISSUER: is not an origin alone',
    ],
    [
      'an issuer with a slash',
      { MINTMARK_ISSUER: 'https://sts.example/' },
      'MINTMARK_ISSUER: is not an origin alone',
    ],
    ['no issuer off loopback', { MINTMARK_LISTEN: '0.0.0.0:80' }, 'MINTMARK_ISSUER: is required'],
    ['a bad address', { MINTMARK_LISTEN: '8080' }, 'MINTMARK_LISTEN: is not host:port'],
    ['a bad port', { MINTMARK_LISTEN: '127.0.0.1:70000' }, 'MINTMARK_LISTEN: is not host:port'],
    [
      'a bad trust domain',
      { MINTMARK_TRUST_DOMAIN: 'A' },
      'MINTMARK_TRUST_DOMAIN: is not a SPIFFE trust domain',
    ],
    ['an IPv6 issuer alone', { MINTMARK_LISTEN: '[::1]:1' }, 'MINTMARK_TRUST_DOMAIN: is required'],
    [
      'a database without a key',
      { DATABASE_URL: shared.DATABASE_URL },
      'MINTMARK_KEY_ENCRYPTION_KEY: is required',
    ],
    [
      'a previous key alone',
      { MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: key },
      'MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: has no use without MINTMARK_KEY_ENCRYPTION_KEY',
    ],
    [
      'one key in both places',
      { ...shared, MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: '01'.repeat(32) },
      'MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: is the same as MINTMARK_KEY_ENCRYPTION_KEY',
    ],
    [
      'a short previous key',
      { ...shared, MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: 'AQ==' },
      'MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: is not 32 bytes',
    ],
    [
      'half a token',
      { MINTMARK_PKCS11_MODULE: '/etc/hostname' },
      'MINTMARK_PKCS11_MODULE, MINTMARK_PKCS11_TOKEN_LABEL and MINTMARK_PKCS11_PIN_FILE: give all three or none',
    ],
    [
      'sessions of no token',
      { MINTMARK_PKCS11_SESSIONS: '2' },
      'MINTMARK_PKCS11_SESSIONS: has no use without',
    ],
    [
      'no sessions',
      { ...tokenSettings, MINTMARK_PKCS11_SESSIONS: '0' },
      'MINTMARK_PKCS11_SESSIONS: is not a number',
    ],
    [
      'a library that is searched for',
      { ...tokenSettings, MINTMARK_PKCS11_MODULE: 'libsofthsm2.so' },
      'MINTMARK_PKCS11_MODULE: is not the absolute path',
    ],
    [
      'a label that no token can have',
      { ...tokenSettings, MINTMARK_PKCS11_TOKEN_LABEL: 'x'.repeat(33) },
      'MINTMARK_PKCS11_TOKEN_LABEL: is longer than the 32 bytes',
    ],
    [
      'a PIN file that is not there',
      { ...tokenSettings, MINTMARK_PKCS11_PIN_FILE: '/nowhere/pin' },
      'MINTMARK_PKCS11_PIN_FILE: cannot be read (ENOENT)',
    ],
    ['a short key', { MINTMARK_KEY_ENCRYPTION_KEY: 'AQ==' }, 'MINTMARK_KEY_ENCRYPTION_KEY: is not 32 bytes'],
    ['a short admin token', { MINTMARK_ADMIN_TOKEN: 'canary' }, 'MINTMARK_ADMIN_TOKEN: is shorter than 32'],
    [
      'another database',
      { ...shared, DATABASE_URL: 'mysql://canary' },
      'DATABASE_URL: is not a URL of the form',
    ],
    ['another cache', { REDIS_URL: 'http://canary' }, 'REDIS_URL: is not a URL of the form'],
    [
      'proxies by name',
      { MINTMARK_TRUSTED_PROXIES: 'proxy' },
      'MINTMARK_TRUSTED_PROXIES: is not a comma-separated',
    ],
    [
      'a file that is not there',
      { MINTMARK_ADMIN_TOKEN_FILE: '/nowhere' },
      'MINTMARK_ADMIN_TOKEN_FILE: cannot be read',
    ],
    [
      'a value and a file',
      { MINTMARK_ADMIN_TOKEN: 'off', MINTMARK_ADMIN_TOKEN_FILE: '/nowhere' },
      'MINTMARK_ADMIN_TOKEN_FILE: is given beside',
    ],
    [
      'an exchange role without a database',
      { MINTMARK_EXCHANGE_DATABASE_URL: 'postgresql://canary' },
      'MINTMARK_EXCHANGE_DATABASE_URL: has no use',
    ],
  ])('refuses %s', (_name, environment, problem) => {
    const problems = problemsOf(environment as Record<string, string>);
    expect(problems).toEqual([expect.stringContaining(problem)]);
    expect(problems.join()).not.toContain('canary');
  });

  it.each(['0.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/9', '10.0.0.0/8.5', 'fe80::1%eth0'])(
    'refuses the proxies %s, and takes a range and an address',
    (proxies) => {
      expect(problemsOf({ MINTMARK_TRUSTED_PROXIES: proxies })).toEqual([
        expect.stringContaining('MINTMARK_TRUSTED_PROXIES: is not a comma-separated'),
      ]);
      const { trustedProxies } = readConfig({ MINTMARK_TRUSTED_PROXIES: '10.0.0.0/8, fd00::/128,127.0.0.1' });
      expect(trustedProxies).toEqual(['10.0.0.0/8', 'fd00::/128', '127.0.0.1']);
    },
  );

  it('spools the audit only where a database may be away', () => {
    const shared = {
      DATABASE_URL: 'postgres://db.test/mintmark',
      MINTMARK_KEY_ENCRYPTION_KEY: 'ab'.repeat(32),
    };
    expect(readConfig({}).auditOnOutage).toBe('deny');
    expect(readConfig(shared).auditOnOutage).toBe('spool');
    expect(readConfig({ ...shared, MINTMARK_AUDIT_ON_OUTAGE: 'deny' }).auditOnOutage).toBe('deny');
    expect(problemsOf({ MINTMARK_AUDIT_ON_OUTAGE: 'spool' })).toEqual([
      'MINTMARK_AUDIT_ON_OUTAGE: spool has no use without DATABASE_URL',
    ]);
    expect(problemsOf({ MINTMARK_AUDIT_ON_OUTAGE: 'perhaps' })).toEqual([
      'MINTMARK_AUDIT_ON_OUTAGE: is neither spool nor deny',
    ]);
  });

  it('reports every problem at once', () => {
    expect(problemsOf({ MINTMARK_X: '1', MINTMARK_LISTEN: 'x', MINTMARK_TRUST_DOMAIN: '-A-' })).toHaveLength(
      3,
    );
  });

  it('takes both files of its own TLS or neither, and only a key that fits', async () => {
    const authority = await makeAuthority();
    const [one, two] = [await authority.issue('one.test'), await authority.issue('two.test')];
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const MINTMARK_TLS_CERT = write('tls-cert', one.cert);
    const MINTMARK_TLS_KEY = write('tls-key', one.key);
    const config = readConfig({ MINTMARK_TLS_CERT, MINTMARK_TLS_KEY });
    expect(config).toMatchObject({ issuer: 'https://127.0.0.1:8080', tls: { certificate: one.cert } });
    expect(config.tls?.key.reveal()).toBe(one.key);
    const pair = 'MINTMARK_TLS_CERT and MINTMARK_TLS_KEY';
    expect(problemsOf({ MINTMARK_TLS_CERT })).toEqual([`${pair}: give both or neither`]);
    expect(problemsOf({ MINTMARK_TLS_KEY })).toEqual([`${pair}: give both or neither`]);
    expect(problemsOf({ MINTMARK_TLS_CERT, MINTMARK_TLS_KEY: write('other-key', two.key) })).toEqual([
      'MINTMARK_TLS_KEY: is not the key of the certificate in MINTMARK_TLS_CERT',
    ]);
    expect(problemsOf({ MINTMARK_TLS_CERT, MINTMARK_TLS_KEY: join(folder, 'absent') })).toEqual([
      `${pair}: cannot be read as files in PEM (ENOENT)`,
    ]);
  });

  it('takes all that the bundle’s own endpoint needs or nothing, and only an X.509-SVID of our trust domain', async () => {
    const [authority, server] = await Promise.all([makeSpiffeAuthority('mintmark.test'), makeAuthority()]);
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const pem = (der: Uint8Array) =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
    const settingsOf = (pair: { readonly cert: string; readonly key: string }, roots: string) => ({
      MINTMARK_TRUST_DOMAIN: 'mintmark.test',
      MINTMARK_SPIFFE_BUNDLE_LISTEN: '0.0.0.0:8443',
      MINTMARK_SPIFFE_BUNDLE_CERT: write('svid-cert', pair.cert),
      MINTMARK_SPIFFE_BUNDLE_KEY: write('svid-key', pair.key),
      MINTMARK_SPIFFE_BUNDLE_ROOTS: write('svid-roots', roots),
    });
    const svid = await authority.issue('spiffe://mintmark.test/bundle-endpoint');
    const roots = pem(authority.rootDer);
    expect(readConfig({}).spiffeEndpoint).toBeUndefined();
    const settings = settingsOf(svid, roots);
    expect(readConfig(settings).spiffeEndpoint).toMatchObject({
      listen: { host: '0.0.0.0', port: 8443 },
      certificate: svid.cert,
      roots: { keys: [authority.rootJwk] },
    });
    for (const name of Object.keys(settings).filter((setting) => setting.includes('BUNDLE'))) {
      expect(problemsOf({ ...settings, [name]: '' })).toEqual([
        'MINTMARK_SPIFFE_BUNDLE_LISTEN, …_CERT, …_KEY and …_ROOTS: give all four or none',
      ]);
    }
    const files = 'MINTMARK_SPIFFE_BUNDLE_CERT, …_KEY and …_ROOTS';
    const name = `${files}: the certificate must have one URI, a SPIFFE ID under spiffe://mintmark.test/`;
    const elsewhere = await authority.issue('spiffe://other.test/x');
    const plain = await server.issue('mintmark.test');
    expect(problemsOf(settingsOf(elsewhere, roots))).toEqual([name]);
    expect(problemsOf(settingsOf(plain, roots))).toEqual([name]);
    expect(problemsOf(settingsOf({ ...svid, key: plain.key }, roots))).toEqual([
      `${files}: the key is not that of the certificate`,
    ]);
    expect(problemsOf(settingsOf(svid, 'canary'))).toEqual([
      `${files}: the roots must be certificates in PEM and nothing else`,
    ]);
    expect(problemsOf(settingsOf(svid, svid.cert))).toEqual([
      `${files}: each of the roots must be an authority’s certificate`,
    ]);
    const absent = { ...settingsOf(svid, roots), MINTMARK_SPIFFE_BUNDLE_ROOTS: join(folder, 'none') };
    expect(problemsOf(absent)).toEqual([`${files}: cannot be read as files in PEM (ENOENT)`]);
  });

  it('reads a client certificate’s header of a known kind, from trusted proxies only', () => {
    const MINTMARK_TRUSTED_PROXIES = '10.0.0.0/8';
    expect(readConfig({ MINTMARK_TRUSTED_PROXIES, MINTMARK_CLIENT_CERT_HEADER: 'xfcc' })).toMatchObject({
      certificateHeader: 'xfcc',
    });
    expect(readConfig({ MINTMARK_TRUSTED_PROXIES }).certificateHeader).toBeUndefined();
    expect(problemsOf({ MINTMARK_CLIENT_CERT_HEADER: 'xfcc' })).toEqual([
      'MINTMARK_CLIENT_CERT_HEADER: has no use without MINTMARK_TRUSTED_PROXIES',
    ]);
    expect(problemsOf({ MINTMARK_TRUSTED_PROXIES, MINTMARK_CLIENT_CERT_HEADER: 'x-cert' })).toEqual([
      'MINTMARK_CLIENT_CERT_HEADER: is not one of client-cert, xfcc, nginx, alb',
    ]);
  });
});
