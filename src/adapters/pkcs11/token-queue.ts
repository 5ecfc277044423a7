/** The way to the token: so many calls at once, so many waiting, none for ever; a token that is lost is opened anew. */
import { stat } from 'node:fs/promises';
import { OAuthError } from '../../core/error.ts';
import { type Token, type TokenCall, TokenError, type TokenSettings } from './token.ts';
import { startTokenChild, type TokenChild, tokenOver } from './token-child.ts';

export interface TokenQueueLimits {
  /** Calls that wait while all sessions are at work; one more is refused. */
  readonly maxWaiting: number;
  /** From the asking to the answer. */
  readonly signMillis: number;
  readonly makeMillis: number;
  readonly openMillis: number;
  /** Between attempts to open a lost token: the first, doubled each time, up to the last. */
  readonly firstRetryMillis: number;
  readonly lastRetryMillis: number;
}

export const tokenQueueLimits: TokenQueueLimits = {
  maxWaiting: 256,
  signMillis: 5_000,
  makeMillis: 60_000, // an RSA key takes some tokens half a minute
  openMillis: 30_000,
  firstRetryMillis: 250,
  lastRetryMillis: 5_000,
};

export interface TokenQueue extends Token {
  /** Why the token cannot be asked now. */
  problem(): TokenError | undefined;
  /** Whether it has signed within this time. */
  hasSignedWithin(millis: number): boolean;
  close(): Promise<void>;
}

interface Order extends PromiseWithResolvers<unknown> {
  readonly call: TokenCall;
  readonly timer: NodeJS.Timeout;
  isSecondTry: boolean;
  isSettled: boolean;
}

/** Lost again within this time, it is not opened anew at once. */
const steadyMillis = 10_000;

const closed = new TokenError('lost', 'the token is closed');

type Log = (message: string, details: object) => void;

/**
 * Rejects with a `TokenError` where the token cannot be opened now. Afterwards calls reject with one while it is lost,
 * and with `server.overloaded` where too many wait.
 */
export async function openTokenQueue(
  settings: TokenSettings,
  log: Log,
  limits: TokenQueueLimits = tokenQueueLimits,
): Promise<TokenQueue> {
  const waiting: Order[] = [];
  const underWay = new Set<Order>();
  let child: TokenChild | undefined;
  let problem: TokenError | undefined;
  let openedAt = 0;
  let lookedAnewAt = Number.NEGATIVE_INFINITY;
  let signedAt = Number.NEGATIVE_INFINITY;
  let retryMillis = limits.firstRetryMillis;
  let retry: NodeJS.Timeout | undefined;
  let refusedPin: string | undefined;
  let isClosed = false;

  async function open(): Promise<void> {
    const opened = await startTokenChild(settings, limits.openMillis, (error) => {
      if (child === opened) lose(error);
    });
    if (isClosed) {
      opened.kill();
      return;
    }
    child = opened;
    openedAt = performance.now();
  }

  /** In the background, until the token is there. */
  async function reopen(): Promise<void> {
    try {
      // A token counts wrong PINs, and locks itself: the same one is never tried twice.
      if (refusedPin !== undefined && refusedPin === (await fileState(settings.pinFile))) {
        retryLater();
        return;
      }
      await open();
      if (isClosed) return;
      if (problem) log('the PKCS #11 token is back', {});
      problem = undefined;
      refusedPin = undefined;
      pump();
    } catch (error) {
      const why = error instanceof TokenError ? error : new TokenError('lost', 'the token cannot be opened');
      if (why.problem === 'refused') refusedPin = await fileState(settings.pinFile);
      giveUp(why);
      retryLater();
    }
  }

  function retryLater(): void {
    if (isClosed) return;
    retry = setTimeout(() => void reopen(), retryMillis);
    retryMillis = Math.min(retryMillis * 2, limits.lastRetryMillis);
  }

  /** Nobody waits for a token that is away. */
  function giveUp(why: TokenError): void {
    if (problem?.message !== why.message) log('the PKCS #11 token is lost', { reason: why.message });
    problem = why;
    for (const order of waiting.splice(0)) settle(order, why);
  }

  function lose(why: TokenError): void {
    const isSteady = performance.now() - openedAt >= steadyMillis;
    if (!drop() || isClosed) return;
    if (isSteady) {
      openAnew(why);
    } else {
      giveUp(why);
      retryLater();
    }
  }

  function openAnew(why: TokenError): void {
    log('the PKCS #11 token is opened anew', { reason: why.message });
    retryMillis = limits.firstRetryMillis;
    void reopen();
  }

  function drop(): boolean {
    const dropped = child;
    child = undefined;
    dropped?.kill();
    return dropped !== undefined;
  }

  function pump(): void {
    while (child && underWay.size < settings.sessions) {
      const order = waiting.shift();
      if (order === undefined) return;
      underWay.add(order);
      void carryOut(child, order);
    }
  }

  async function carryOut(asked: TokenChild, order: Order): Promise<void> {
    try {
      const result = await asked.ask(order.call);
      if (order.call.call === 'sign') signedAt = performance.now();
      underWay.delete(order);
      settle(order, result);
    } catch (error) {
      underWay.delete(order);
      const why = error instanceof TokenError ? error : new TokenError('lost', 'the token failed');
      if (why.problem === 'lost' && child === asked) lose(why);
      const isToBeSeen = mayBeUnseen(why, order);
      if (isToBeSeen) {
        lookedAnewAt = performance.now();
        if (child === asked && drop()) openAnew(why);
      }
      if (why.problem === 'lost' || isToBeSeen) againOrNever(order, why);
      else settle(order, why);
    }
    pump();
  }

  /** A library may not see what another process has just made, nor a token that was put back, until it is opened anew. */
  const mayBeUnseen = ({ problem: kind }: TokenError, { call }: Order) =>
    ((kind === 'missing' && call.call === 'publicMembers') ||
      ((kind === 'missing' || kind === 'unfit') && call.call === 'sign')) &&
    performance.now() - lookedAnewAt >= steadyMillis;

  /** Once more at most, and never what would make a second key of the same name. */
  function againOrNever(order: Order, why: TokenError): void {
    if (order.isSettled) return;
    if (order.isSecondTry || order.call.call === 'make' || problem) settle(order, why);
    else waiting.unshift(Object.assign(order, { isSecondTry: true }));
  }

  function expire(order: Order): void {
    const index = waiting.indexOf(order);
    if (index >= 0) {
      waiting.splice(index, 1);
      settle(order, new TokenError('lost', 'the token is too slow'));
      return;
    }
    const why = new TokenError('lost', 'the token does not answer');
    settle(order, why);
    lose(why);
  }

  function ask(call: TokenCall): Promise<unknown> {
    if (isClosed || problem) return Promise.reject(problem ?? closed);
    if (waiting.length >= limits.maxWaiting) {
      return Promise.reject(new OAuthError('server.overloaded', { detail: 'too many wait for the token' }));
    }
    const millis = call.call === 'make' ? limits.makeMillis : limits.signMillis;
    const order: Order = {
      ...Promise.withResolvers<unknown>(),
      call,
      timer: setTimeout(() => expire(order), millis),
      isSecondTry: false,
      isSettled: false,
    };
    waiting.push(order);
    pump();
    return order.promise;
  }

  await open();
  return {
    ...tokenOver(ask),
    problem: () => problem,
    hasSignedWithin: (millis) => performance.now() - signedAt < millis,
    close: async () => {
      isClosed = true;
      clearTimeout(retry);
      for (const order of [...waiting.splice(0), ...underWay]) settle(order, closed);
      await child?.end();
    },
  };
}

function settle(order: Order, outcome: unknown): void {
  clearTimeout(order.timer);
  order.isSettled = true;
  if (outcome instanceof Error) order.reject(outcome);
  else order.resolve(outcome);
}

async function fileState(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return 'none';
  }
}
