/** Run by pglite-durability.test.ts as a process to kill: appends, says which events are durable, and goes on. */
import { randomUUID } from 'node:crypto';
import { openPglite } from '../../src/adapters/postgres/open.ts';

const clock = { now: () => Date.now() };
const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('give the folder');
const stores = await openPglite({ dataDir, clock });
await stores.migrate();

async function appendForever(): Promise<never> {
  for (;;) {
    const requestId = randomUUID();
    const event = { requestId, at: clock.now(), action: 'token', remoteAddress: '192.0.2.1' };
    await stores.audit.append({ ...event, outcome: 'permitted' });
    process.stdout.write(`${requestId}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, appendForever));
