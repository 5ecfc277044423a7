/** The one shape of message that is read: Protocol Buffers `map<string, bytes>`, by hand, since it is all there is of them. */

interface Field {
  readonly number: number;
  /** Undefined for a field that is not length-delimited. */
  readonly bytes: Uint8Array | undefined;
}

/** The map in the given field; fields of other numbers are skipped. Throws an Error where the message is cut short. */
export function readBundleMap(message: Uint8Array, fieldNumber: number): ReadonlyMap<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  for (const { number, bytes } of readFields(message)) {
    if (number !== fieldNumber || bytes === undefined) continue;
    let name = '';
    let value = new Uint8Array();
    for (const part of readFields(bytes)) {
      if (part.bytes === undefined) continue;
      if (part.number === 1) name = new TextDecoder('utf-8', { fatal: true }).decode(part.bytes);
      if (part.number === 2) value = new Uint8Array(part.bytes);
    }
    entries.set(name, value); // of two entries with one name, the last counts (Protocol Buffers, maps)
  }
  return entries;
}

function* readFields(message: Uint8Array): Generator<Field> {
  let at = 0;

  function varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('the message is cut short');
  }

  function take(length: number): Uint8Array {
    if (length > message.length - at) throw new Error('the message is cut short');
    at += length;
    return message.subarray(at - length, at);
  }

  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        varint();
        yield { number, bytes: undefined };
        break;
      case 1:
        take(8);
        yield { number, bytes: undefined };
        break;
      case 2:
        yield { number, bytes: take(varint()) };
        break;
      case 5:
        take(4);
        yield { number, bytes: undefined };
        break;
      default:
        throw new Error('the message holds a field of an unknown kind');
    }
  }
}
