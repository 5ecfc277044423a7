/** The life of the process: what a kill -9 may not lose, and what a SIGTERM may not cut off. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { adminToken, deploy } from '../support/deployment.ts';
import { eventually } from '../support/processes.ts';
import { answerToEnd, openSocket } from '../support/raw-http.ts';
import {
  auditEvent,
  hashOf,
  jwtSpiffeAssertion,
  ordersId,
  postToken,
  type Story,
  startStory,
} from '../support/story.ts';

const callers = 16;

describe('the life of the process', () => {
  let story: Story;

  afterEach(() => story?.close());

  async function grantForm(): Promise<Record<string, string>> {
    return {
      grant_type: 'client_credentials',
      client_assertion_type: jwtSpiffeAssertion,
      client_assertion: await story.svid(ordersId, story.server.url),
      audience: 'alpha',
      scope: 'alpha',
    };
  }

  function requestText(form: Record<string, string>, connection: string): string {
    const body = new URLSearchParams(form).toString();
    return `POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\nConnection: ${connection}\r\n\r\n${body}`;
  }

  describe.each(['embedded', 'PostgreSQL'] as const)('kill -9 in a burst, on %s', (database) => {
    test('every token that a client has is in the audit afterwards, under the same keys', async () => {
      const environment = await deploy(database, 'memory');
      story = await startStory(environment);
      const form = await grantForm();
      const jwksUrl = `${story.server.url}/.well-known/jwks.json`;
      const jwks = await (await fetch(jwksUrl)).text();
      const received: { requestId: string; token: string }[] = [];
      let unanswered = 0;
      const call = async () => {
        while (unanswered === 0) {
          try {
            const { status, headers, body } = await postToken(story.server.url, form);
            expect(status).toBe(200);
            received.push({
              requestId: headers.get('x-request-id') ?? '',
              token: String(body.access_token),
            });
          } catch (error) {
            if (!(error instanceof TypeError)) throw error; // fetch failed: the server is gone
            unanswered++;
          }
        }
      };
      const burst = Array.from({ length: callers }, call);
      await eventually(async () => expect(received.length).toBeGreaterThan(200));
      // A database that stalls as the end comes: whatever was released ahead of its record would be lost now.
      const resume = await stallAudit(environment.DATABASE_URL);
      await story.server.stop('SIGKILL');
      await resume();
      await Promise.all(burst);
      expect(unanswered).toBeGreaterThan(0); // it was killed in the middle

      await story.server.restart();
      let found = 0;
      for (const { requestId, token } of received) {
        const event = await auditEvent(story.server.url, adminToken, requestId);
        expect(event, `the token of request ${requestId} has no record`).toMatchObject({
          outcome: 'permitted',
          token_hash: hashOf(token),
        });
        found++;
      }
      expect(found).toBe(received.length);
      expect(new Set(received.map(({ token }) => token)).size).toBe(received.length);
      expect(await (await fetch(jwksUrl)).text()).toBe(jwks);
      expect((await postToken(story.server.url, form)).status).toBe(200);
    }, 60_000);
  });

  test('SIGTERM: a request that is under way, one half sent and one on an open connection are all answered', async () => {
    story = await startStory();
    const form = await grantForm();
    const open = await openConnections(4);
    const half = await openSocket(story.server.url);
    const text = requestText(form, 'close');
    half.write(text.slice(0, -100));

    // Signed by a key that the server has yet to fetch, slowly: the exchange waits while the signal comes.
    await story.rotateBundle();
    story.trustDomain.fault = { kind: 'slow', delayMillis: 700 };
    const fetches = story.trustDomain.count('/bundle.json');
    const waiting = postToken(story.server.url, await grantForm());
    await eventually(async () => expect(story.trustDomain.count('/bundle.json')).toBe(fetches + 1));

    const exitCode = story.server.stop('SIGTERM');
    await eventually(async () => expect(story.server.output()).toContain('draining'));
    half.write(text.slice(-100));
    for (const socket of open) socket.write(requestText(form, 'keep-alive'));

    for (const answer of await Promise.all([half, ...open].map((socket) => answerToEnd(socket)))) {
      expect(answer.status, answer.body).toBe(200);
      expect(answer.headers.get('connection')).toBe('close'); // so that the client goes elsewhere
      expect(JSON.parse(answer.body)).toMatchObject({ token_type: 'Bearer', scope: 'alpha' });
    }
    expect((await waiting).status).toBe(200);
    expect(await exitCode).toBe(0);
    await expect(fetch(story.server.url)).rejects.toThrow(); // it is gone, and so is its port
  });

  test('SIGTERM under load: no answer but 200 until callers go elsewhere, and every token has its record', async () => {
    story = await startStory();
    const form = await grantForm();
    const received: string[] = [];
    let isOver = false;
    const call = async () => {
      while (!isOver) {
        const { status, headers, body } = await postToken(story.server.url, form);
        expect(status, JSON.stringify(body)).toBe(200);
        received.push(headers.get('x-request-id') ?? '');
      }
    };
    const load = Array.from({ length: callers }, call);
    await eventually(async () => expect(received.length).toBeGreaterThan(50));
    const exitCode = story.server.stop('SIGTERM');
    await eventually(async () => expect(story.server.output()).toContain('draining'));
    const atSignal = received.length;
    const ready = await fetch(`${story.server.url}/readyz`);
    expect(ready.status).toBe(503); // a load balancer is told
    await sleep(500); // and takes the replica out
    isOver = true;
    await Promise.all(load);
    expect(received.length).toBeGreaterThan(atSignal);
    expect(await exitCode).toBe(0);

    await story.server.restart();
    for (const requestId of received.slice(atSignal)) {
      const event = await auditEvent(story.server.url, story.server.adminToken(), requestId);
      expect(event).toMatchObject({ outcome: 'permitted' });
    }
  }, 60_000);

  /** Connections that have each been served once, so that the server has certainly accepted them. */
  async function openConnections(count: number): Promise<Socket[]> {
    const sockets = await Promise.all(Array.from({ length: count }, () => openSocket(story.server.url)));
    for (const socket of sockets) {
      socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(socket, 'data');
    }
    return sockets;
  }
});

/** Holds up every write to the audit of this PostgreSQL for a moment and until told; nothing to do for the embedded store. */
async function stallAudit(databaseUrl: string | undefined): Promise<() => Promise<void>> {
  if (databaseUrl === undefined) return async () => {};
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin; lock table audit_events in exclusive mode');
  await sleep(200);
  return () => client.end();
}
