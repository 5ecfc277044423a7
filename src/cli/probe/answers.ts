/** What the deployment answers to a request for a token, held against what it must. */
import { z } from 'zod';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure } from '../exit.ts';
import { refusalOf } from '../token-refusal.ts';
import type { HttpRequest } from '../token-request.ts';
import type { MustFail } from './refusals.ts';

const tokenSchema = z.looseObject({ access_token: z.string() });
const refusalSchema = z.looseObject({
  error: z.string(),
  request_id: z.string(),
  access_token: z.undefined().optional(),
});

/** The token. Throws `CommandFailure` with the server's refusal. */
export async function mustSucceed(
  dependencies: CliDependencies,
  url: string,
  request: HttpRequest,
): Promise<string> {
  const { response, body } = await post(dependencies, url, request);
  const answer = tokenSchema.safeParse(body);
  if (!response.ok || !answer.success) throw refusalOf(response.status, body);
  if (response.headers.get('cache-control') !== 'no-store') {
    throw new CommandFailure('the answer with the token is not cache-control: no-store (RFC 6749 §5.1)');
  }
  return answer.data.access_token;
}

/** What the refusal said. Throws `CommandFailure` where it was none, or another one. */
export async function mustFail(
  dependencies: CliDependencies,
  url: string,
  { request, error }: Pick<MustFail, 'request' | 'error'>,
): Promise<string> {
  const { response, body } = await post(dependencies, url, request);
  if (response.ok) throw new CommandFailure(`WAS ACCEPTED, with status ${response.status}`);
  if (response.status === 429) {
    throw new CommandFailure('too many refusals from this address in the last minute: probe less often');
  }
  const refusal = refusalSchema.safeParse(body);
  if (!refusal.success) throw new CommandFailure(`answered ${response.status}, and not as Mintmark does`);
  const { error: code, request_id: requestId } = refusal.data;
  if (code === error) return `refused, ${code}`;
  throw new CommandFailure(`refused with ${code}, not with ${error}: mintmark why ${requestId}`);
}

async function post(dependencies: CliDependencies, url: string, { path, headers, body }: HttpRequest) {
  const response = await send(dependencies, `${url}${path}`, { method: 'POST', headers, body });
  const answer: unknown = await response.json().catch(() => undefined);
  return { response, body: answer };
}
