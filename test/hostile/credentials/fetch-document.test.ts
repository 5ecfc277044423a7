/** What goes out over HTTP: real sockets, real certificates, and servers that lie. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openFetchDocument, type ResolvedAddress } from '../../../src/adapters/net/fetch-document.ts';
import { type IssuerDouble, startIssuerDouble } from '../../support/issuer-double.ts';
import { makeAuthority, startTlsIssuerDouble, type TestAuthority } from '../../support/issuer-double-tls.ts';

const name = 'issuer.test';
const allowed = { allowPrivateHosts: [name] };
const loopback: ResolvedAddress = { address: '127.0.0.1', family: 4 };

let authority: TestAuthority;
let secure: IssuerDouble;
let plain: IssuerDouble;

beforeAll(async () => {
  authority = await makeAuthority();
  [secure, plain] = await Promise.all([
    startTlsIssuerDouble(name, await authority.issue(name), { keys: { keys: ['the keys'] } }),
    startIssuerDouble({ keys: { keys: ['the keys'] } }),
  ]);
});

afterAll(async () => {
  await Promise.all([secure.close(), plain.close()]);
});

const open = (addresses: readonly ResolvedAddress[] = [loopback], trusted = [authority.certificate]) =>
  openFetchDocument({
    extraCaCertificates: trusted,
    resolve: async () => addresses,
    totalTimeoutMillis: 2000,
  });

const fetchPlain = (path = '/jwks') =>
  openFetchDocument({ totalTimeoutMillis: 500 })(`${plain.url}${path}`, { allowPrivateHosts: ['127.0.0.1'] });

/** One answer, written by hand on a socket. */
async function serveRaw(answer: Buffer | string): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const fetchRaw = async (answer: Buffer | string) =>
  openFetchDocument()(await serveRaw(answer), { allowPrivateHosts: ['127.0.0.1'] });

describe('a document', () => {
  it('comes over https under a certificate of its name', async () => {
    expect(await open()(secure.jwksUrl, allowed)).toEqual({ status: 200, body: '{"keys":["the keys"]}' });
  });

  it('comes over http from loopback', async () => {
    expect(await fetchPlain()).toEqual({ status: 200, body: '{"keys":["the keys"]}' });
  });

  it('that is not there has a status, and no exception', async () => {
    expect(await fetchPlain('/nothing')).toMatchObject({ status: 404 });
  });

  it.each([
    ['max-age=600', 600],
    ['public, max-age=21600, must-revalidate', 21_600],
    ['Max-Age="60"', 60],
    ['no-store, max-age=600', 0],
    ['no-cache', 0],
    ['s-maxage=600', undefined],
    ['max-age=soon', undefined],
  ])('with Cache-Control %s is fresh for %s seconds', async (cacheControl, maxAgeSeconds) => {
    plain.headers = { 'cache-control': cacheControl };
    onTestFinished(() => {
      plain.headers = {};
    });
    expect((await fetchPlain()).maxAgeSeconds).toBe(maxAgeSeconds);
  });
});

describe('a certificate', () => {
  it('of an authority that is not trusted is refused', async () => {
    await expect(open([loopback], [])(secure.jwksUrl, allowed)).rejects.toThrow(/certificate|issuer/);
  });

  it('for another name is refused', async () => {
    const other = await startTlsIssuerDouble(name, await authority.issue('other.test'));
    onTestFinished(() => other.close());
    await expect(open()(other.jwksUrl, allowed)).rejects.toThrow("does not match certificate's altnames");
  });

  it('that has expired is refused', async () => {
    const old = await startTlsIssuerDouble(name, await authority.issue(name, 1_700_000_000_000));
    onTestFinished(() => old.close());
    await expect(open()(old.jwksUrl, allowed)).rejects.toThrow('expired');
  });

  it('is checked again after a fetch that trusted it', async () => {
    expect(await open()(secure.jwksUrl, allowed)).toMatchObject({ status: 200 });
    await expect(open([loopback], [])(secure.jwksUrl, allowed)).rejects.toThrow(/certificate|issuer/);
  });
});

describe('an address', () => {
  it.each([
    ['127.0.0.1', 4],
    ['10.0.0.1', 4],
    ['192.168.0.1', 4],
    ['fd00::1', 6],
    ['::1', 6],
  ])('%s behind a name is refused unless a document allows the name', async (address, family) => {
    const fetchDocument = open([{ address, family }]);
    await expect(fetchDocument(secure.jwksUrl)).rejects.toThrow(`its address ${address} is private`);
    await expect(fetchDocument(secure.jwksUrl, { allowPrivateHosts: ['other.test'] })).rejects.toThrow(
      'is private',
    );
  });

  it.each([
    ['169.254.169.254', 4],
    ['0.0.0.0', 4],
    ['::ffff:127.0.0.1', 6],
    ['fe80::1', 6],
  ])('%s behind a name is refused whatever a document allows', async (address, family) => {
    await expect(open([{ address, family }])(secure.jwksUrl, allowed)).rejects.toThrow(
      `its address ${address} is refused`,
    );
  });

  it('that is bad refuses the good ones beside it', async () => {
    const mixed = open([loopback, { address: '169.254.169.254', family: 4 }]);
    await expect(mixed(secure.jwksUrl, allowed)).rejects.toThrow('169.254.169.254 is refused');
  });

  it('is looked up once: what was checked is what is connected to', async () => {
    let lookups = 0;
    const rebinding = openFetchDocument({
      extraCaCertificates: [authority.certificate],
      resolve: async () => {
        lookups += 1;
        return lookups === 1 ? [loopback] : [{ address: '169.254.169.254', family: 4 }];
      },
    });
    expect(await rebinding(secure.jwksUrl, allowed)).toMatchObject({ status: 200 });
    expect(lookups).toBe(1);
  });

  it.each([
    ['https://169.254.169.254/latest/meta-data'],
    ['https://[fe80::1]/'],
    ['https://[::ffff:169.254.169.254]/'],
    ['https://2852039166/'],
    ['https://0xa9.254.0251.254/'],
  ])('%s, written in the URL, is refused', async (url) => {
    const hosts = ['169.254.169.254', '[fe80::1]', '::ffff:a9fe:a9fe', '2852039166'];
    await expect(openFetchDocument()(url, { allowPrivateHosts: hosts })).rejects.toThrow('is refused');
  });

  it('of this machine, written in the URL, is refused unless it is allowed', async () => {
    await expect(openFetchDocument()(plain.jwksUrl)).rejects.toThrow('127.0.0.1 is private');
    expect(await fetchPlain()).toMatchObject({ status: 200 });
  });
});

describe('a URL', () => {
  it.each([
    ['http://issuer.test/', 'https is required'],
    ['http://10.0.0.1/', 'https is required'],
    ['http://127.0.0.1.evil.example/', 'https is required'],
    ['https://user:secret@issuer.test/', 'user information'],
    ['https://issuer.test@evil.example/', 'user information'],
    ['file:///etc/passwd', 'https is required'],
    ['data:application/json,{}', 'https is required'],
    ['ftp://issuer.test/', 'https is required'],
    ['/jwks', 'not an absolute URL'],
    ['', 'not an absolute URL'],
  ])('%s is refused', async (url, message) => {
    const error: unknown = await open()(url, allowed).catch((refusal) => refusal);
    expect(String(error)).toContain(message);
    expect(String(error)).not.toContain('secret');
  });

  it('with http and a loopback name that leads elsewhere is refused', async () => {
    const fetchDocument = open([{ address: '10.0.0.1', family: 4 }]);
    const options = { allowPrivateHosts: ['localhost'] };
    await expect(fetchDocument('http://localhost/', options)).rejects.toThrow('https is required');
  });

  it('is fetched without the proxy that the environment names', async () => {
    process.env.HTTP_PROXY = 'http://127.0.0.1:1';
    process.env.http_proxy = 'http://127.0.0.1:1';
    onTestFinished(() => {
      delete process.env.HTTP_PROXY;
      delete process.env.http_proxy;
    });
    expect(await fetchPlain()).toMatchObject({ status: 200 });
  });
});

describe('an answer', () => {
  const faulty = async (fault: IssuerDouble['fault']) => {
    plain.fault = fault;
    try {
      return await fetchPlain();
    } finally {
      plain.fault = undefined;
    }
  };

  it.each([301, 302, 303, 307, 308])('%d, a redirect, is refused', async (status) => {
    const before = plain.count('/bundle.json');
    await expect(faulty({ kind: 'status', status, location: plain.bundleUrl })).rejects.toThrow(
      'redirects are not followed',
    );
    expect(plain.count('/bundle.json')).toBe(before);
  });

  it('that is too large is cut off, though it does not say how large it is', async () => {
    await expect(faulty({ kind: 'huge', bytes: 1024 * 1024 })).rejects.toThrow('larger than 1048576 bytes');
    expect(await faulty({ kind: 'huge', bytes: 1024 * 1024 - 100 })).toMatchObject({ status: 200 });
  });

  it('that says it is too large is refused at once', async () => {
    const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}';
    await expect(fetchRaw(answer)).rejects.toThrow('larger than 1048576 bytes');
  });

  it('that ends before its length is refused', async () => {
    await expect(fetchRaw('HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}')).rejects.toThrow(
      'GET from 127.0.0.1',
    );
    expect(await fetchRaw('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')).toMatchObject({ body: '{}' });
  });

  it('that is slow is given up', async () => {
    await expect(faulty({ kind: 'slow', delayMillis: 5000 })).rejects.toThrow(/timeout/i);
    expect(await faulty({ kind: 'slow', delayMillis: 50 })).toMatchObject({ status: 200 });
  });

  it('that drips for longer than the whole time is given up', async () => {
    const server = createServer((_request, response) => {
      const drip = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(drip));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const fetchDocument = openFetchDocument({ totalTimeoutMillis: 400 });
    await expect(fetchDocument(url, { allowPrivateHosts: ['127.0.0.1'] })).rejects.toThrow(/timeout/i);
  });

  it('that breaks off is refused', async () => {
    await expect(faulty({ kind: 'reset' })).rejects.toThrow('GET from 127.0.0.1');
  });

  it('that is compressed is refused: it may grow', async () => {
    const body = gzipSync('{}');
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`;
    await expect(fetchRaw(Buffer.concat([Buffer.from(head), body]))).rejects.toThrow(
      'encoded body is refused',
    );
  });

  it('that is not UTF-8 is refused', async () => {
    const head = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n');
    await expect(fetchRaw(Buffer.concat([head, Buffer.from([0xff])]))).rejects.toThrow('not text in UTF-8');
  });

  it('from nobody, or a name that hangs, is given up', async () => {
    await expect(
      openFetchDocument()('http://127.0.0.1:1/', { allowPrivateHosts: ['127.0.0.1'] }),
    ).rejects.toThrow('GET from 127.0.0.1:1');
    const hanging = openFetchDocument({
      resolve: () => new Promise(() => undefined),
      totalTimeoutMillis: 100,
    });
    await expect(hanging(secure.jwksUrl, allowed)).rejects.toThrow(/timeout/i);
    await expect(open([])(secure.jwksUrl, allowed)).rejects.toThrow('the name has no address');
  });
});
