/** Reads every JSON body strictly: a proxy before us that keeps another of two equal members must not see another request. */
import type { FastifyInstance } from 'fastify';
import { parseStrictJson } from '../core/strict-json.ts';

const byteOrderMark = '\ufeff';

/** For this application and all plugins within it, in the place of Fastify's own reader. What is no strict JSON answers 400. */
export function readJsonStrictly(app: FastifyInstance): void {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    async (_request: unknown, text: string) => {
      try {
        return parseStrictJson(text.startsWith(byteOrderMark) ? text.slice(1) : text); // RFC 8259 §8.1
      } catch (cause) {
        throw Object.assign(new Error('the body is not strict JSON', { cause }), { statusCode: 400 });
      }
    },
  );
}
