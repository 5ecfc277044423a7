/** The examples for Traefik and Envoy, which no test runs: that they say what the two programs need, and strip what a client forges. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { nobody } from './guard.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../../deploy/forward-auth/${name}`, import.meta.url), 'utf8');
const names = Object.keys(nobody);
const exact = (patterns: readonly { readonly exact: string }[]) => patterns.map((pattern) => pattern.exact);

describe('deploy/forward-auth', () => {
  it('sets every header in nginx, and nothing else of ours', () => {
    const set = [...read('nginx.conf').matchAll(/proxy_set_header (X-(?:SPIFFE|Auth)-\S+) \$/g)];
    expect(set.map(([, name]) => name?.toLowerCase())).toEqual(names);
    const variables = [...read('nginx.conf').matchAll(/auth_request_set \$\S+ \$upstream_http_(x_\S+);/g)];
    expect(variables.map(([, name]) => name?.replaceAll('_', '-'))).toEqual(names);
  });

  it('has Traefik take every header from the answer, after it wrote its own X-Forwarded-*', () => {
    const { http } = parse(read('traefik.yaml'));
    const { forwardAuth } = http.middlewares.mintmark;
    expect(forwardAuth.authResponseHeaders.map((name: string) => name.toLowerCase())).toEqual(names);
    expect(forwardAuth).toMatchObject({
      address: 'http://mintmark:8080/forward-auth/shop/items:read',
      trustForwardHeader: false,
      authRequestHeaders: ['Authorization', 'DPoP'],
    });
    for (const { middlewares, service } of Object.values<{ middlewares: string[]; service: string }>(
      http.routers,
    )) {
      expect(Object.keys(http.middlewares)).toEqual(expect.arrayContaining(middlewares));
      expect(Object.keys(http.services)).toContain(service);
    }
    expect(http.routers.shop.middlewares[0]).toBe('mintmark');
  });

  it('has Envoy remove every header before it asks, and take each from the answer', () => {
    const { static_resources: resources } = parse(read('envoy.yaml'));
    const [listener] = resources.listeners;
    const manager = listener.filter_chains[0].filters[0].typed_config;
    const [mutation, authorization, router] = manager.http_filters;
    expect([mutation.name, authorization.name, router.name]).toEqual([
      'envoy.filters.http.header_mutation',
      'envoy.filters.http.ext_authz',
      'envoy.filters.http.router',
    ]);
    const removed = mutation.typed_config.mutations.request_mutations;
    expect(removed.map(({ remove }: { remove: string }) => remove)).toEqual(names);
    const { http_service: service, ...rules } = authorization.typed_config;
    expect(rules.failure_mode_allow).toBe(false);
    expect(service.path_prefix).toBe('/forward-auth/shop/items:read');
    expect(exact(service.authorization_response.allowed_upstream_headers.patterns)).toEqual(names);
    expect(exact(service.authorization_response.allowed_client_headers.patterns)).toContain(
      'www-authenticate',
    );
    expect(exact(rules.allowed_headers.patterns)).toEqual([
      'dpop',
      'x-forwarded-proto',
      'x-forwarded-client-cert',
    ]);
    expect(manager).toMatchObject({
      normalize_path: true,
      use_remote_address: true,
      forward_client_cert_details: 'SANITIZE_SET',
    });
    const clusters = resources.clusters.map(({ name }: { name: string }) => name);
    expect(clusters).toContain(service.server_uri.cluster);
  });
});
