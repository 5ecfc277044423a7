/** The process that has the vendor's library loaded: what crashes or hangs in there leaves the server standing. */
import { openToken } from './open-token.ts';
import { type Token, type TokenAnswer, TokenError, type TokenRequest } from './token.ts';

let token: Token | undefined;

async function run(request: TokenRequest): Promise<unknown> {
  if (request.call === 'open') {
    token = await openToken(request.argument);
    return undefined;
  }
  if (token === undefined) throw new Error('no token is open');
  switch (request.call) {
    case 'make':
      return await token.make(request.argument);
    case 'publicMembers':
      return await token.publicMembers(request.argument);
    case 'sign':
      return await token.sign(request.argument);
    case 'ids':
      return await token.ids(request.argument);
    case 'destroy':
      return await token.destroy(request.argument);
  }
}

async function answer(request: TokenRequest): Promise<TokenAnswer> {
  const { number } = request;
  try {
    return { number, result: await run(request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : 'error';
    return { number, problem: error instanceof TokenError ? error.problem : 'lost', message };
  }
}

// The server's signals reach its whole process group; it still signs while it drains, and ends us by the channel.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (request: TokenRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
