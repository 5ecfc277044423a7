/** The curl command that is shown and the request that is sent say the same. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curlLines, send } from './call.ts';
import { type LoopbackServer, listenOnLoopback, sendJson } from './loopback.ts';

let folder: string;
let echo: LoopbackServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-call-'));
  writeFileSync(join(folder, 'orders.authorization'), 'Authorization: Bearer a.b.c');
  writeFileSync(join(folder, 'billing.svid'), 'd.e+f');
  echo = await listenOnLoopback(async (request, response) => {
    const { method, headers } = request;
    const body = await text(request);
    const echoed = { method, authorization: headers.authorization, type: headers['content-type'], body };
    sendJson(response, 201, echoed, { 'x-request-id': 'r1' });
  });
});

afterAll(async () => {
  await echo.close();
  rmSync(folder, { recursive: true });
});

describe('a call', () => {
  it('with JSON and a credential from a file', async () => {
    const call = { url: `${echo.url}/t`, authorization: 'orders.authorization', json: { audience: 'alpha' } };
    expect(curlLines(call, '$D/')).toEqual([
      `curl -sS ${echo.url}/t \\`,
      `  -H @$D/orders.authorization -H 'content-type: application/json' \\`,
      `  -d '{"audience":"alpha"}'`,
    ]);
    expect(await send(call, folder)).toMatchObject({
      status: 201,
      requestId: 'r1',
      body: {
        method: 'POST',
        authorization: 'Bearer a.b.c',
        type: 'application/json',
        body: '{"audience":"alpha"}',
      },
    });
  });

  it('with a form, one parameter of it from a file', async () => {
    const form = { grant_type: 'x', client_assertion: { file: 'billing.svid' }, scope: 'a b' };
    const call = { url: echo.url, form };
    expect(curlLines(call).join('')).toBe(
      `curl -sS ${echo.url} \\  -d grant_type=x --data-urlencode client_assertion@billing.svid \\  --data-urlencode 'scope=a b'`,
    );
    const { body } = await send(call, folder);
    expect(body).toMatchObject({ type: 'application/x-www-form-urlencoded;charset=UTF-8' });
    expect(body.body).toBe('grant_type=x&client_assertion=d.e%2Bf&scope=a+b');
  });

  it('without a body is a GET on one line', async () => {
    const call = { url: echo.url, authorization: 'orders.authorization' };
    expect(curlLines(call)).toEqual([`curl -sS ${echo.url} -H @orders.authorization`]);
    expect((await send(call, folder)).body).toMatchObject({ method: 'GET', body: '' });
  });

  it('is given up when the demo is told to end', async () => {
    const ended = AbortSignal.abort(new Error('told to end'));
    await expect(send({ url: echo.url }, folder, ended)).rejects.toThrow('told to end');
  });
});
