/** Templates of attributes (CK_ATTRIBUTE): laid out for the library, and read back from it. */
import { type Cryptoki, wordAt, words } from './cryptoki.ts';

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

const attributeWords = 3; // type, pointer, length
const maxValueBytes = 1024; // an RSA modulus of 8192 bits

export const flag = (type: number, isSet: boolean): Attribute => ({
  type,
  value: Buffer.alloc(1, Number(isSet)),
});
export const number = (type: number, value: number): Attribute => ({ type, value: words(1, value) });
export const text = (type: number, value: string): Attribute => ({ type, value: Buffer.from(value) });

export interface Template {
  readonly bytes: Buffer;
  readonly count: number;
  /** What `bytes` points at. */
  readonly held: readonly Uint8Array[];
}

export function layOut(cryptoki: Cryptoki, attributes: readonly Attribute[]): Template {
  const held = attributes.map(({ value }) => Buffer.alloc(value.length, value));
  const bytes = words(
    attributes.length * attributeWords,
    ...attributes.flatMap(({ type }, index) => {
      const value = held[index] ?? Buffer.alloc(0);
      return [type, cryptoki.addressOf(value), value.length];
    }),
  );
  return { bytes, count: attributes.length, held };
}

/** The attributes of an object; undefined for one that it does not have. Rejects for one that is not to be read. */
export async function readAttributes(
  cryptoki: Cryptoki,
  session: bigint,
  object: bigint,
  types: readonly number[],
): Promise<readonly Buffer[]> {
  const template = layOut(
    cryptoki,
    types.map((type) => ({ type, value: Buffer.alloc(maxValueBytes) })),
  );
  await cryptoki.call(
    'C_GetAttributeValue',
    [session, object, template.bytes, template.count],
    template.held,
  );
  return template.held.map((value, index) =>
    Buffer.from(value.subarray(0, wordAt(template.bytes, index * attributeWords + 2))),
  );
}
