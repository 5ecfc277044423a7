/** One request to the machine's or the pipeline's own token endpoint. */
import { NoCredential, type Surroundings } from './platform.ts';

export const linkLocal = '169.254.169.254';
const probeMillis = 1_000;
const askMillis = 10_000;

interface Ask {
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** The answer's text. Follows no redirect, since the request may carry a token. Throws `NoCredential`. */
export async function ask({ fetch }: Surroundings, source: string, request: Ask): Promise<string> {
  const { url, method = 'GET', headers, body } = request;
  if (!URL.canParse(url)) throw new NoCredential(`${source}: its address is not a URL`);
  try {
    const signal = AbortSignal.timeout(askMillis);
    const sent = {
      method,
      headers,
      redirect: 'error',
      signal,
      ...(body === undefined ? {} : { body }),
    } as const;
    const response = await fetch(url, sent);
    if (response.ok) return await response.text();
    await response.body?.cancel();
    throw new NoCredential(`${source} answered ${response.status}`);
  } catch (error) {
    if (error instanceof NoCredential) throw error;
    throw new NoCredential(`${source} cannot be reached`);
  }
}

/** Whether something answers within a second, and the answer shows what it is. */
export async function probe(
  { fetch }: Surroundings,
  { url, method = 'GET', headers }: Ask,
  isIt: (response: Response) => boolean | Promise<boolean>,
): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(probeMillis);
    const response = await fetch(url, { method, headers, redirect: 'error', signal });
    const found = response.ok && (await isIt(response));
    if (!response.bodyUsed) await response.body?.cancel();
    return found;
  } catch {
    return false;
  }
}

/** A member of a JSON answer. Throws `NoCredential` where it is no object. */
export function memberOf(text: string, name: string, source: string): unknown {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null)
      return Object.entries(body).find(([key]) => key === name)?.[1];
  } catch {
    // falls through: the text may hold a token, so it is not repeated
  }
  throw new NoCredential(`${source} did not answer with a JSON object`);
}
