/** How a command ends: 0 done, 1 refused or differs, 2 usage. */

export const exitCodes = { done: 0, refused: 1, usage: 2 } as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command. The message says what to do, and never holds a token. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: ExitCode;
  /** What `--json` prints instead of the message. */
  readonly body: unknown;

  constructor(message: string, options: { exitCode?: ExitCode; body?: unknown } = {}) {
    super(message);
    this.exitCode = options.exitCode ?? exitCodes.refused;
    this.body = options.body;
  }
}

export function usageFailure(message: string): CommandFailure {
  return new CommandFailure(message, { exitCode: exitCodes.usage });
}
