/** A policy diff for people. */
import type { Json } from '../core/json.ts';
import type { ServerDiff, ServerReplay } from './admin-client.ts';
import { type Paint, plain } from './paint.ts';

export function isEmpty({ added, removed, changed }: ServerDiff): boolean {
  return added.length + removed.length + changed.length === 0;
}

/** A line for each document and field that changes; empty where nothing does. */
export function printDiff({ added, removed, changed }: ServerDiff, paint: Paint): string {
  const lines = [
    ...added.map(({ kind, name }) => paint('green', `+ ${kind}/${plain(name)}`)),
    ...changed.flatMap(({ kind, name, fields }) => [
      paint('yellow', `~ ${kind}/${plain(name)}`),
      ...fields.map(
        ({ field, before, after }) => `    ${plain(field)}: ${printChange(before, after, paint)}`,
      ),
    ]),
    ...removed.map(({ kind, name }) => paint('red', `- ${kind}/${plain(name)}`)),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** `1 added, 2 changed, 0 removed`. */
export function countDiff({ added, removed, changed }: ServerDiff): string {
  return `${added.length} added, ${changed.length} changed, ${removed.length} removed`;
}

/** What recent exchanges would become. */
export function printReplay(replay: ServerReplay, paint: Paint): string {
  const line = (mark: string, attempt: ServerReplay['newly_refused'][number]) => {
    const { identity, audience = 'the default target', before, after, count, request_id: id } = attempt;
    return plain(`${mark} ${identity} for ${audience}: ${before} → ${after} (${count}, such as ${id})`);
  };
  const { newly_permitted: permitted, newly_refused: refused, looked_at: lookedAt, unknown } = replay;
  const rest = (mark: string, listed: ServerReplay['newly_refused'], total: number) => {
    const more = total - listed.reduce((sum, { count }) => sum + count, 0);
    return more > 0 ? [`${mark} and ${more} more, ${total} in all`] : [];
  };
  const lines = [
    ...permitted.map((attempt) => paint('green', line('+', attempt))),
    ...rest('+', permitted, replay.newly_permitted_total).map((text) => paint('green', text)),
    ...refused.map((attempt) => paint('red', line('-', attempt))),
    ...rest('-', refused, replay.newly_refused_total).map((text) => paint('red', text)),
    paint('bold', `${lookedAt} recent exchanges decided again; ${unknown} cannot be told from the audit`),
  ];
  return lines.map((text) => `${text}\n`).join('');
}

function printChange(before: Json | undefined, after: Json | undefined, paint: Paint): string {
  if (before === undefined) return paint('green', `+ ${short(after)}`);
  if (after === undefined) return paint('red', `- ${short(before)}`);
  return `${paint('red', short(before))} → ${paint('green', short(after))}`;
}

const maxLength = 200;

function short(value: Json | undefined): string {
  const text = plain(JSON.stringify(value) ?? 'nothing');
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}
