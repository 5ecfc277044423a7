/** What the client knows of a platform: how to tell that it runs there, and how to get the credential. */

/** What a platform is looked for in; given, so that a test can make a platform out of two variables and a server. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly fetch: typeof globalThis.fetch;
  /** Rejects where the file cannot be read. */
  readonly readTextFile: (path: string) => Promise<string>;
}

export interface ClientPlatform {
  /** The name of its folder under `credentials/platforms`. */
  readonly platform: string;
  /** What it is recognised by, for a person to read. */
  readonly looksFor: string;
  /** Whether this is the platform. Never throws; a network probe ends within `probeMillis`. */
  readonly detect: (surroundings: Surroundings) => boolean | Promise<boolean>;
  /** The credential, meant for `audience` where the platform lets the workload choose. Throws `NoCredential`. */
  readonly obtain: (surroundings: Surroundings, audience: string) => Promise<string>;
}

/** The platform gave no credential. The message never holds one, nor what the platform answered. */
export class NoCredential extends Error {
  override readonly name = 'NoCredential';
}

/** Refuses what could not be sent as one header, such as an error page or an empty file. */
export function oneToken(text: unknown, source: string): string {
  const token = typeof text === 'string' ? text.trim() : '';
  if (!/^[\x21-\x7e]+$/.test(token)) throw new NoCredential(`${source} holds no credential`);
  return token;
}
