/** Policy documents in bodies, as JSON or as YAML: what is read, and which of the two is asked for. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { PolicySource } from '../../core/policy/source.ts';
import { prefersToJson } from './accept.ts';
import { AdminProblem } from './problem.ts';

export const bodyLimitBytes = 16 * 1024 * 1024;
/** Reading YAML holds the whole server up, for a hundred times as long as JSON does. */
const yamlLimitBytes = 256 * 1024;
export const yamlType = 'application/yaml'; // RFC 9512

/** Lets the routes of this plugin read YAML, as a string. */
export function acceptYaml(app: Pick<FastifyInstance, 'addContentTypeParser'>): void {
  app.addContentTypeParser(
    yamlType,
    { parseAs: 'string', bodyLimit: bodyLimitBytes }, // a route's own limit would take the place of a smaller one
    async (_request: unknown, text: string) => {
      if (Buffer.byteLength(text) > yamlLimitBytes) {
        throw new AdminProblem('payload-too-large', {
          detail: `As YAML a body may be ${yamlLimitBytes} bytes long: send the same as JSON, as mintmark apply does.`,
        });
      }
      return text;
    },
  );
}

/** Answers with YAML that is written already. */
export function sendYaml(reply: Pick<FastifyReply, 'type'>, text: string) {
  return reply
    .type(yamlType)
    .serializer((value: string) => value)
    .send(text);
}

/** Whether an `Accept` header names YAML, and not after JSON. */
export function prefersYaml(accept: string | undefined): boolean {
  return prefersToJson(accept, yamlType);
}

/** A document of a JSON body, which has no lines to point at. */
export function sourceFromJson(value: unknown): PolicySource {
  return { value, managedBy: 'rest', locate: () => ({}) };
}
