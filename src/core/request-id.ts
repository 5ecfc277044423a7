/** Request ids: UUIDs of version 7 (RFC 9562 §5.7), which sort by time and so keep the audit's index compact. */
import { randomUUID } from 'node:crypto';

/** A new id for a request that arrived at this time, in milliseconds since the epoch. */
export function v7RequestId(nowMillis: number): string {
  const time = nowMillis.toString(16).padStart(12, '0');
  const random = randomUUID(); // of version 4: its bits after the version and its variant are what version 7 has there
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`;
}
