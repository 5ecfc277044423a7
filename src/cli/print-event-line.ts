/** An audit event as one line of a list, the columns of one width first. */
import { type Paint, plain } from './paint.ts';
import type { ShownEvent } from './print-event.ts';

const outcomeWidth = 9;

/** Ends with a newline. */
export function printEventLine(event: ShownEvent, paint: Paint): string {
  const { at, outcome, request_id: requestId, reason } = event;
  const verdict = paint(outcome === 'permitted' ? 'green' : 'red', outcome.padEnd(outcomeWidth));
  const because = reason === undefined ? '' : `: ${plain(reason)}`;
  return `${paint('dim', plain(at))} ${verdict} ${plain(requestId)} ${plain(deedOf(event))}${because}\n`;
}

function deedOf({ action, identity, audience, actor, summary }: ShownEvent): string {
  if (action === 'token.exchange') return `${identity ?? 'unproven'} → ${audience ?? 'the default target'}`;
  return `${actor ?? 'unproven'} ${action}${summary === undefined ? '' : ` (${summary})`}`;
}
