/** Policy documents in bodies, as JSON or as YAML: what is read, and which of the two is asked for. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { PolicySource } from '../../core/policy/source.ts';
import { prefersToJson } from './accept.ts';

export const bodyLimitBytes = 16 * 1024 * 1024;
export const yamlType = 'application/yaml'; // RFC 9512

/** Lets the routes of this plugin read YAML, as a string. */
export function acceptYaml(app: Pick<FastifyInstance, 'addContentTypeParser'>): void {
  app.addContentTypeParser(
    yamlType,
    { parseAs: 'string', bodyLimit: bodyLimitBytes },
    async (_request: unknown, text: string) => text,
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
