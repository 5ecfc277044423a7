/** Calls of the admin API, as the tests make them: with the bootstrap token, from an address of their own. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import { newAddress, testAdminToken } from '../../support/house.ts';

export function callAdmin(app: FastifyInstance, url: string, options: InjectOptions = {}) {
  return app.inject({
    remoteAddress: newAddress(),
    ...options,
    url: `/admin/v1${url}`,
    headers: { authorization: `Bearer ${testAdminToken}`, ...options.headers },
  });
}

export function putPolicy(
  app: FastifyInstance,
  documents: readonly unknown[],
  options: { query?: string; headers?: Record<string, string> } = {},
) {
  return callAdmin(app, `/policy${options.query ?? ''}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', ...options.headers },
    payload: JSON.stringify({ documents }),
  });
}

export const resource = (name: string, spec: object = {}) => ({
  apiVersion: 'mintmark/v1',
  kind: 'Resource',
  metadata: { name },
  spec: { audience: `https://${name}.test`, scopes: ['items:read'], ...spec },
});
