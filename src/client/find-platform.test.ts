/** Platforms that a test cannot make with a variable alone: a file at a fixed path, and a link-local address. */
import { describe, expect, test } from 'vitest';
import { findPlatform } from './find-platform.ts';
import type { Surroundings } from './platform.ts';

const projectedToken = '/var/run/mintmark/token';

function surroundings(parts: {
  environment?: Record<string, string>;
  files?: Record<string, string>;
  answer?: Response;
}) {
  const urls: string[] = [];
  const made: Surroundings = {
    environment: parts.environment ?? {},
    fetch: async (url) => {
      urls.push(String(url));
      if (parts.answer === undefined) throw new TypeError('fetch failed');
      return parts.answer;
    },
    readTextFile: async (path) => {
      const text = parts.files?.[path];
      if (text === undefined) throw new Error('ENOENT');
      return text;
    },
  };
  return { made, urls };
}

describe('findPlatform', () => {
  test('takes a pod with a projected token, and reads it', async () => {
    const environment = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const { made, urls } = surroundings({ environment, files: { [projectedToken]: 'a.b.c\n' } });
    const found = await findPlatform(made, 'auto');
    expect(found.platform).toBe('kubernetes');
    expect(await found.obtain(made, 'https://sts.test')).toBe('a.b.c');
    expect(urls).toEqual([]);
  });

  test('never offers the token that every pod has for the API server', async () => {
    const environment = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const files = { '/var/run/secrets/kubernetes.io/serviceaccount/token': 'a.b.c' };
    await expect(findPlatform(surroundings({ environment, files }).made, 'auto')).rejects.toThrow(
      'no platform was found',
    );
  });

  test('asks the network last, and believes only what says that it is Google', async () => {
    const google = surroundings({ answer: new Response('', { headers: { 'metadata-flavor': 'Google' } }) });
    expect((await findPlatform(google.made, 'auto')).platform).toBe('google');
    expect(google.urls).toEqual(['http://169.254.169.254/']);
    const other = surroundings({ answer: new Response('') });
    await expect(findPlatform(other.made, 'auto')).rejects.toThrow('no platform was found');
  });
});
