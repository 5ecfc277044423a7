/** What the token endpoints refuse, in a sentence for a person. */
import { z } from 'zod';
import { CommandFailure } from './exit.ts';
import { plain } from './paint.ts';

const refusalSchema = z.looseObject({
  error: z.string(),
  error_description: z.string().optional(),
  request_id: z.string().optional(),
});

/** The server's refusal, with its request id; never the token. */
export function refusalOf(status: number, body: unknown): CommandFailure {
  const refusal = refusalSchema.safeParse(body);
  if (!refusal.success) return new CommandFailure(`the server answered ${status}, and not as Mintmark does`);
  const { error, error_description: description, request_id: requestId } = refusal.data;
  const said = plain(description === undefined ? error : `${error}: ${description}`);
  const hint =
    requestId === undefined ? '' : `\nAn admin can read the whole reason: mintmark why ${plain(requestId)}`;
  return new CommandFailure(`${said}${hint}`, { body: refusal.data });
}
