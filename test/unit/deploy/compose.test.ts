/** docker-compose.yml beside what it must agree with: the server's settings, the drain and the nginx file. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { readConfig } from '../../../src/config.ts';

const root = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

const serviceSchema = z.object({
  image: z.string(),
  environment: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).optional(),
  stop_grace_period: z.string().optional(),
  read_only: z.boolean().optional(),
  networks: z.object({ default: z.object({ ipv4_address: z.string() }) }).optional(),
});
const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.object({})),
});
const compose = composeSchema.parse(parse(read('docker-compose.yml'), { merge: true }));
const service = (name: string) => {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`no service ${name}`);
  return found;
};
const secrets = {
  MINTMARK_KEY_ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
  MINTMARK_ADMIN_TOKEN: 'a'.repeat(64),
};

describe('docker-compose.yml', () => {
  it.each(['mintmark-1', 'mintmark-2', 'migrate'])('gives %s settings that the server takes', (name) => {
    const { environment } = service(name);
    const config = readConfig({ ...environment, ...secrets });
    expect(config.databaseUrl).toBeDefined();
    expect(() => readConfig({ ...environment, ...secrets, MINTMARK_TYPO: 'x' })).toThrow(/MINTMARK_TYPO/);
  });

  it('lets the replicas believe nginx, and nobody else', () => {
    const address = service('nginx').networks?.default.ipv4_address;
    const { trustedProxies } = readConfig({ ...service('mintmark-1').environment, ...secrets });
    expect(trustedProxies).toEqual([address]);
  });

  it('has an nginx that knows exactly the replicas, by their port', () => {
    const upstreams = [...read('deploy/nginx/mintmark.conf').matchAll(/^ {2}server (\S+):(\d+) /gm)];
    const replicas = Object.keys(compose.services).filter((name) => /^mintmark-\d$/.test(name));
    expect(upstreams.map(([, name]) => name)).toEqual(replicas);
    const { listen } = readConfig({ ...service('mintmark-1').environment, ...secrets });
    expect(upstreams.map(([, , port]) => Number(port))).toEqual(replicas.map(() => listen.port));
  });

  it('stops a replica later than the drain gives up', () => {
    const drainMillis = /drainTimeoutMillis = ([\d_]+)/.exec(read('src/main.ts'))?.[1]?.replaceAll('_', '');
    for (const name of ['mintmark-1', 'mintmark-2']) {
      const graceMillis = Number.parseInt(service(name).stop_grace_period ?? '', 10) * 1000;
      expect(graceMillis).toBeGreaterThan(Number(drainMillis));
    }
  });

  it('publishes on loopback alone, declares its volumes, and shares none between replicas', () => {
    const all = Object.values(compose.services);
    const ports = all.flatMap(({ ports = [] }) => ports);
    expect(ports).toEqual(['127.0.0.1:8080:8080']);
    const named = all.flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0] ?? ''));
    const declared = named.filter((name) => !name.startsWith('.'));
    expect(declared.sort()).toEqual(Object.keys(compose.volumes).sort());
  });

  it('migrates before any replica starts', () => {
    for (const name of ['mintmark-1', 'mintmark-2']) {
      expect(service(name).depends_on?.migrate).toEqual({ condition: 'service_completed_successfully' });
      expect(service(name).read_only).toBe(true);
    }
  });
});
