/** One HTTP request of the demo: what is sent and the curl command that is shown come from the same description. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Credentials stand in files of one folder, by name, and never on a command line. */
export interface Call {
  readonly url: string;
  /** A file that holds an `Authorization` header. */
  readonly authorization?: string;
  readonly json?: Readonly<Record<string, unknown>>;
  /** Form parameters; `{ file }` is the text of a file. */
  readonly form?: Readonly<Record<string, string | { readonly file: string }>>;
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Mintmark's `x-request-id`: what the answer is found by in the audit. */
  readonly requestId: string | undefined;
  readonly elapsedMillis: number;
}

const timeoutMillis = 10_000;

/** The lines of a curl command that sends the call; `folder` is what stands before the files' names. */
export function curlLines(call: Call, folder = ''): readonly string[] {
  const header = call.authorization === undefined ? [] : [`-H @${folder}${call.authorization}`];
  const rest =
    call.json === undefined
      ? Object.entries(call.form ?? {}).map(([name, value]) => formOption(name, value, folder))
      : [`-H 'content-type: application/json'`, `-d '${JSON.stringify(call.json)}'`];
  return joinOptions([`curl -sS ${call.url}`, ...header, ...rest]);
}

/** Sends the call. Rejects where no JSON object comes back in time. */
export async function send(call: Call, folder: string, signal?: AbortSignal): Promise<Answer> {
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  const headers = new Headers();
  if (call.authorization !== undefined) {
    const [name = '', value = ''] = read(call.authorization).split(': ', 2);
    headers.set(name, value);
  }
  if (call.json !== undefined) headers.set('content-type', 'application/json');
  const form = Object.entries(call.form ?? {}).map(
    ([name, value]) => [name, typeof value === 'string' ? value : read(value.file)] as [string, string],
  );
  const body =
    call.json === undefined
      ? form.length === 0
        ? null
        : new URLSearchParams(form)
      : JSON.stringify(call.json);

  const startedAt = performance.now();
  const response = await fetch(call.url, {
    method: body === null ? 'GET' : 'POST',
    headers,
    body,
    signal: AbortSignal.any([AbortSignal.timeout(timeoutMillis), ...(signal ? [signal] : [])]),
  });
  const parsed: unknown = await response.json();
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`${call.url}: not a JSON object`);
  return {
    status: response.status,
    body: parsed as Readonly<Record<string, unknown>>,
    requestId: response.headers.get('x-request-id') ?? undefined,
    elapsedMillis: performance.now() - startedAt,
  };
}

function formOption(name: string, value: string | { readonly file: string }, folder: string): string {
  if (typeof value !== 'string') return `--data-urlencode ${name}@${folder}${value.file}`;
  const isPlain = /^[\w:./-]+$/.test(value);
  return isPlain ? `-d ${name}=${value}` : `--data-urlencode '${name}=${value}'`;
}

const maxLineLength = 92;

/** One line where that is short enough; else the options below the URL, each line but the last with a backslash after it. */
function joinOptions(options: readonly string[]): readonly string[] {
  const whole = options.join(' ');
  if (whole.length <= maxLineLength) return [whole];
  const [command = '', ...rest] = options;
  const lines = [command];
  for (const option of rest) {
    const last = lines.at(-1) ?? '';
    if (lines.length > 1 && `${last} ${option} \\`.length <= maxLineLength)
      lines.push(`${lines.pop()} ${option}`);
    else lines.push(`  ${option}`);
  }
  return lines.map((text, index) => (index === lines.length - 1 ? text : `${text} \\`));
}
