/**
 * The whole client: one `fetch`, with the token that the platform already gives the workload. Nothing to install.
 *
 *   MINTMARK_URL=https://sts.example PLATFORM_TOKEN_FILE=/var/run/secrets/tokens/mintmark \
 *     node examples/fetch-token.ts https://inventory.internal.example items:read
 */
import { readFile } from 'node:fs/promises';

export interface Token {
  readonly access_token: string;
  /** Seconds. Ask again before they are over; there is nothing to refresh. */
  readonly expires_in: number;
}

/** Rejects with the error code and the request id, which is what an admin needs to find out why. */
export async function fetchToken(
  mintmarkUrl: string,
  platformToken: string,
  audience: string,
  scope: string,
): Promise<Token> {
  const response = await fetch(`${mintmarkUrl}/api/v1/token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${platformToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience, scope }),
  });
  const answer = (await response.json()) as Token & { readonly error?: string; readonly request_id?: string };
  if (!response.ok) throw new Error(`${answer.error} (request_id ${answer.request_id})`);
  return answer;
}

if (import.meta.main) {
  const { MINTMARK_URL = 'http://127.0.0.1:8080', PLATFORM_TOKEN_FILE = '/dev/stdin' } = process.env;
  const [audience = '', scope = ''] = process.argv.slice(2);
  const platformToken = (await readFile(PLATFORM_TOKEN_FILE, 'utf8')).trim();
  const { access_token: token } = await fetchToken(MINTMARK_URL, platformToken, audience, scope);
  process.stdout.write(`${token}\n`);
}
