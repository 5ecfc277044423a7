/** Reading the audit, whose store may be away. */
import { AdminProblem } from './problem.ts';

/** What was read, or the problem of a store that does not answer while the audit goes on elsewhere. */
export async function readable<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw new AdminProblem(
      'unavailable',
      {
        detail: 'The audit cannot be read right now.',
        reason: 'server.audit_unavailable',
        headers: { 'retry-after': '1' },
      },
      cause,
    );
  }
}
