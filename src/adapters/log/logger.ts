/** Logs as JSON lines on standard output. Serializers allow-list what of a request or error is written; nothing else is. */
import { type DestinationStream, type Logger, pino } from 'pino';

const maxCauses = 8;

/** A logger that never writes headers, bodies, query strings or the extra properties of errors. */
export function openLogger(options: { level: string; destination?: DestinationStream }): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeError, req: describeRequest, res: describeResponse },
    },
    options.destination ?? pino.destination({ dest: 1, sync: false }),
  );
}

function describeError(error: unknown): object {
  const chain: { name: string; message: string }[] = [];
  for (let cause = error; cause instanceof Error && chain.length < maxCauses; cause = cause.cause) {
    chain.push({ name: cause.name, message: cause.message });
  }
  return { chain, stack: error instanceof Error ? error.stack : undefined };
}

function describeRequest(request: { id?: string; method?: string; url?: string; ip?: string }): object {
  return {
    id: request.id,
    method: request.method,
    path: request.url?.split('?', 1)[0],
    remoteAddress: request.ip,
  };
}

function describeResponse(response: { statusCode?: number }): object {
  return { status: response.statusCode };
}
