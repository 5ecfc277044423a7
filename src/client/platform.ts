/** What the client knows of a platform: how to tell that it runs there, and how to get the credential. */

/** What a platform is looked for in; given, so that a test can make a platform out of two variables and a server. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly fetch: typeof globalThis.fetch;
  /** Rejects where the file cannot be read. */
  readonly readTextFile: (path: string) => Promise<string>;
  /** What a program writes to standard output; no shell reads the arguments. Rejects where it fails. */
  readonly run: (program: string, args: readonly string[]) => Promise<string>;
  /** A POST of JSON over a Unix socket. Rejects where nothing answers. */
  readonly postToSocket: (
    socketPath: string,
    path: string,
    json: string,
  ) => Promise<{ readonly status: number; readonly text: string }>;
  /** Milliseconds since the epoch. */
  readonly nowMillis: () => number;
}

export interface ClientPlatform {
  /** The name of its folder under `credentials/platforms`. */
  readonly platform: string;
  /** What it is recognised by, for a person to read. */
  readonly looksFor: string;
  /** The `subject_token_type` of a credential that only a token exchange takes; the others stand in `Authorization`. */
  readonly subjectTokenType?: string;
  /** Whether this is the platform, by variables and files alone. Never throws. */
  readonly detect: (surroundings: Surroundings) => boolean | Promise<boolean>;
  /** The same by a question to the network, asked where nothing was detected. Ends within `probeMillis`; never throws. */
  readonly probe?: (surroundings: Surroundings) => Promise<boolean>;
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
