/** Closed-loop load over keep-alive connections, in a process of its own; prints one JSON line. */
import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';

const [url = '', bodiesPath = '', connections = '32', seconds = '8', label = ''] = process.argv.slice(2);
const bodies = readFileSync(bodiesPath, 'utf8').trimEnd().split('\n');
let next = 0;

const result = await autocannon({
  url,
  connections: Number(connections),
  duration: Number(seconds),
  requests: [
    {
      method: 'POST',
      path: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      setupRequest: (request) => ({ ...request, body: bodies[next++ % bodies.length] ?? '' }),
    },
  ],
});
const { latency, requests, errors, timeouts } = result;
process.stdout.write(
  `${JSON.stringify({
    label,
    permitted: result['2xx'],
    failed: result.non2xx + errors + timeouts,
    perSecond: requests.average,
    total: requests.total,
    p50: latency.p50,
    p99: latency.p99,
  })}\n`,
);
