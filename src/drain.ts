/** How the server leaves: what was accepted, or was on its way when it began to drain, is still served. */
import { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

/** Longer than a request takes to follow its connection; load balancers and keep-alive connections come to rest in it. */
const quietMillis = 250;
const maxQuietPeriods = 12;

/**
 * When the application closes, Fastify has each answer say `Connection: close`. Meanwhile we go on accepting until no
 * request came for a while, for three seconds at most; only then is the port closed, and last the idle connections:
 * Node counts one as idle whose request has not been read yet, and would reset it.
 */
export function drainBeforeClose(app: FastifyInstance): void {
  let requests = 0;
  app.server.on('request', () => {
    requests += 1;
  });
  app.addHook('preClose', async () => {
    if (!app.server.listening) return;
    for (let period = 0; period < maxQuietPeriods; period += 1) {
      const before = requests;
      await sleep(quietMillis);
      if (requests === before) break;
    }
    Server.prototype.close.call(app.server); // of node:net, which leaves open connections alone
    await sleep(quietMillis);
  });
}
