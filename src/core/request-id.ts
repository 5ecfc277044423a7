/** Request ids: UUIDs of version 7 (RFC 9562 §5.7), which sort by time and so keep the audit's index compact. */
import { randomBytes } from 'node:crypto';

/** A new id for a request that arrived at this time, in milliseconds since the epoch. */
export function v7RequestId(nowMillis: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMillis, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
