/** Tells one call after the other: shows it as curl, sends it, shows the answer, and remembers what was handed out. */
import { type Answer, type Call, curlLines, send } from './call.ts';
import { authorization } from './calls.ts';
import { ExpectationFailed, expectEqual } from './expectation.ts';
import type { Stage } from './stage.ts';
import type { Terminal } from './terminal.ts';
import { type ClaimNotes, shortenTokens, showToken } from './token-view.ts';

export interface Narrator {
  readonly terminal: Terminal;
  /** Asks Mintmark for a token. */
  exchange(call: Call, notes?: ClaimNotes): Promise<Answer>;
  /** Calls a protected service. */
  use(call: Call): Promise<Answer>;
  /** A sentence and, below it, a token decoded. */
  decode(sentence: string, token: string, notes?: ClaimNotes): void;
  /** The token of the answer, written to a file as a header. */
  keepToken(answer: Answer, file: string): string;
  /** Throws `ExpectationFailed` where the two differ. */
  expect(sentence: string, actual: unknown, expected: unknown): void;
  readonly tokens: readonly string[];
  readonly requestIds: readonly string[];
}

export function createNarrator(stage: Stage, terminal: Terminal): Narrator {
  const tokens: string[] = [];
  const requestIds: string[] = [];
  const ask = (call: Call) => {
    terminal.request(curlLines(call));
    return send(call, stage.folder, stage.signal);
  };

  return {
    terminal,
    tokens,
    requestIds,
    exchange: async (call, notes = {}) => {
      const answer = await ask(call);
      terminal.answer(answer.status, answer.elapsedMillis);
      terminal.rows(Object.entries(answer.body).map(([name, value]) => [name, textOf(value), notes[name]]));
      if (answer.requestId !== undefined) requestIds.push(answer.requestId);
      return answer;
    },
    use: async (call) => {
      const answer = await ask(call);
      const { aud, scope, error, error_description: description } = answer.body;
      const summary =
        error === undefined ? `aud: ${textOf(aud)}  scope: ${textOf(scope)}` : `${error}: ${description}`;
      terminal.answer(answer.status, answer.elapsedMillis, summary);
      return answer;
    },
    decode: (sentence, token, notes) => {
      terminal.say(sentence);
      terminal.blank();
      showToken(terminal, token, notes);
      terminal.blank();
    },
    keepToken: ({ body }, file) => {
      const { access_token: token } = body;
      if (typeof token !== 'string') throw new ExpectationFailed('the answer holds no access_token');
      tokens.push(token);
      stage.writePrivate(file, authorization(token));
      return token;
    },
    expect: (sentence, actual, expected) => expectEqual(terminal, sentence, actual, expected),
  };
}

function textOf(value: unknown): string {
  return shortenTokens(typeof value === 'string' ? value : JSON.stringify(value));
}
