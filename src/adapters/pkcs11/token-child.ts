/** One run of the process that holds the token: asked by messages, and killed when it does not answer. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Token, type TokenAnswer, type TokenCall, TokenError, type TokenSettings } from './token.ts';

const program = fileURLToPath(new URL('./token-process.ts', import.meta.url));
const endMillis = 1000;

export interface TokenChild {
  /** Rejects with a `TokenError`. */
  ask(call: TokenCall): Promise<unknown>;
  /** What was asked and not answered rejects. */
  kill(): void;
  /** Lets it end by itself, within a second. */
  end(): Promise<void>;
}

/** Rejects with a `TokenError` where the token cannot be opened within the time. `onEnd` is called where it ends uncalled for after that. */
export async function startTokenChild(
  settings: TokenSettings,
  openMillis: number,
  onEnd: (error: TokenError) => void,
): Promise<TokenChild> {
  const child = fork(program, {
    serialization: 'advanced',
    execArgv: [],
    env: environmentFor(settings.sessions),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const asked = new Map<number, PromiseWithResolvers<unknown>>();
  const ended = Promise.withResolvers<void>();
  let count = 0;
  let isOpen = false;

  function fail(message: string): void {
    const error = new TokenError('lost', message);
    for (const { reject } of asked.values()) reject(error);
    asked.clear();
    if (isOpen) onEnd(error);
    isOpen = false;
  }

  function send(call: TokenCall | { readonly call: 'open'; readonly argument: TokenSettings }) {
    const answer = Promise.withResolvers<unknown>();
    const number = ++count;
    asked.set(number, answer);
    child.send({ ...call, number }, (error) => error && fail('the process of the token cannot be reached'));
    return answer.promise;
  }

  function kill(): void {
    isOpen = false;
    child.kill('SIGKILL');
    fail('the process of the token was ended');
  }

  child.on('message', (answer: TokenAnswer) => {
    const order = asked.get(answer.number);
    asked.delete(answer.number);
    if ('problem' in answer) order?.reject(new TokenError(answer.problem, answer.message));
    else order?.resolve(answer.result);
  });
  child.on('error', () => {
    ended.resolve();
    fail('the process of the token could not be started');
  });
  child.on('exit', (code, signal) => {
    ended.resolve();
    fail(`the process of the token ended (${signal ?? code})`);
  });

  const timer = setTimeout(kill, openMillis);
  try {
    await send({ call: 'open', argument: settings });
    isOpen = true;
  } catch (error) {
    kill();
    await ended.promise;
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    ask: send,
    kill,
    end: async () => {
      isOpen = false;
      if (child.connected) child.disconnect();
      const giveUp = setTimeout(kill, endMillis);
      await ended.promise;
      clearTimeout(giveUp);
    },
  };
}

/** The vendor's library reads settings of its own; ours, which hold secrets, are not its affair. */
function environmentFor(sessions: number): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('MINTMARK_') && name !== 'DATABASE_URL' && name !== 'REDIS_URL',
  );
  return { ...Object.fromEntries(others), UV_THREADPOOL_SIZE: String(sessions + 1) }; // one thread a session
}

/** The token as the child has it. */
export function tokenOver(ask: (call: TokenCall) => Promise<unknown>): Token {
  return {
    make: async (argument) => void (await ask({ call: 'make', argument })),
    publicMembers: async (argument) => membersOf(await ask({ call: 'publicMembers', argument })),
    sign: async (argument) => bytesOf(await ask({ call: 'sign', argument })),
    ids: async (argument) => textsOf(await ask({ call: 'ids', argument })),
    destroy: async (argument) => void (await ask({ call: 'destroy', argument })),
  };
}

const oddAnswer = () => new TokenError('lost', 'the process of the token gave an odd answer');

function bytesOf(result: unknown): Uint8Array {
  if (result instanceof Uint8Array) return result;
  throw oddAnswer();
}

function textsOf(result: unknown): readonly string[] {
  if (Array.isArray(result) && result.every((text) => typeof text === 'string')) return result;
  throw oddAnswer();
}

function membersOf(result: unknown): Readonly<Record<string, string>> {
  if (typeof result !== 'object' || result === null) throw oddAnswer();
  const entries = Object.entries(result);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) throw oddAnswer();
  return Object.fromEntries(entries);
}
