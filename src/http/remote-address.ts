/** Where a request came from, as the audit names it and the cap on refusals counts it. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

const address = z.union([z.ipv4(), z.ipv6()]);

/**
 * An address and nothing else. `X-Forwarded-For` says what a hop wrote into it, some with a port; what is no address
 * counts as the hop's own. A caller that has reset its connection has no address any more: its event still needs one.
 */
export function remoteAddressOf({ ip, socket }: FastifyRequest): string {
  const [, v6, v4] = /^(?:\[([^\]]+)\]|([^:]+)):\d{1,5}$/.exec(ip ?? '') ?? [];
  const named = address.safeParse(v6 ?? v4 ?? ip);
  return named.success ? named.data : (socket.remoteAddress ?? 'unknown');
}
