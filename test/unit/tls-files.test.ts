import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { serverTlsOptions } from '../../src/http/server-tls.ts';
import { readTlsPair, renewTls } from '../../src/tls-files.ts';
import { makeAuthority, type TestAuthority } from '../support/issuer-double-tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'mintmark-tls-files-'));
const files = { certificatePath: join(folder, 'cert.pem'), keyPath: join(folder, 'key.pem') };
let authority: TestAuthority;

beforeAll(async () => {
  authority = await makeAuthority();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Whole or not at all, as a mounted secret is swapped. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function openServer() {
  const first = await authority.issue('first.test');
  write(files.certificatePath, first.cert);
  write(files.keyPath, first.key);
  const pair = readTlsPair(files);
  const server = createServer(serverTlsOptions(pair));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const refusals: unknown[] = [];
  const stop = renewTls(files, pair, {
    pollMillis: 10,
    onRenewed: (renewed) => server.setSecureContext(serverTlsOptions(renewed)),
    onRefused: (error) => refusals.push(error),
  });
  onTestFinished(() => {
    stop();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const servedName = () =>
    new Promise<unknown>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().subject.CN);
        socket.destroy();
      });
      socket.once('error', reject);
    });
  return { servedName, refusals };
}

describe('renewed TLS files', () => {
  it('serve the next connection', async () => {
    const { servedName, refusals } = await openServer();
    expect(await servedName()).toBe('first.test');
    const second = await authority.issue('second.test');
    write(files.keyPath, second.key);
    write(files.certificatePath, second.cert);
    await vi.waitFor(async () => expect(await servedName()).toBe('second.test'), 5000);
    expect(refusals.length).toBeLessThanOrEqual(1); // where it looked between the two writes
  });

  it('that are no pair, or gone, are told of once each, and the old pair stays until a fitting one comes', async () => {
    const { servedName, refusals } = await openServer();
    const second = await authority.issue('second.test');
    write(files.certificatePath, second.cert);
    await vi.waitFor(() => expect(refusals).toHaveLength(1));
    rmSync(files.keyPath);
    await vi.waitFor(() => expect(refusals).toHaveLength(2));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(refusals).toEqual([
      expect.objectContaining({ name: 'TlsPairMismatch' }),
      expect.objectContaining({ code: 'ENOENT' }),
    ]);
    expect(await servedName()).toBe('first.test');
    write(files.keyPath, second.key);
    await vi.waitFor(async () => expect(await servedName()).toBe('second.test'), 5000);
  });
});
