/** A made-up machine for the client: what it is given is there, and the rest is not. */
import type { Surroundings } from '../../src/client/platform.ts';
import { testNowMillis } from './tokens.ts';

export interface TestSurroundings {
  readonly made: Surroundings;
  /** The addresses that were asked, in order. */
  readonly urls: string[];
  /** The programs that were run, with their arguments. */
  readonly ran: string[][];
}

/** `answers` are by URL; another URL is an address where nothing is. */
export function makeSurroundings(
  parts: Partial<Omit<Surroundings, 'readTextFile'>> & {
    readonly files?: Record<string, string>;
    readonly answers?: Record<string, () => Response>;
  } = {},
): TestSurroundings {
  const { files = {}, answers = {}, ...given } = parts;
  const urls: string[] = [];
  const ran: string[][] = [];
  return {
    urls,
    ran,
    made: {
      environment: {},
      fetch: async (url) => {
        urls.push(String(url));
        const answer = answers[String(url)];
        if (answer === undefined) throw new TypeError('fetch failed');
        return answer();
      },
      readTextFile: async (path) => files[path] ?? Promise.reject(new Error('ENOENT')),
      run: async (...command) => {
        ran.push(command.flat());
        throw new Error('ENOENT');
      },
      postToSocket: () => Promise.reject(new Error('ENOENT')),
      nowMillis: () => testNowMillis,
      ...given,
    },
  };
}
