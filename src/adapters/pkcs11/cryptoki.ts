/** The C interface of PKCS #11, called off the main thread; every structure is a buffer that is laid out here, for 64 bits. */
import { faultsOfCalls, returnValues } from './constants.ts';
import { TokenError } from './token.ts';

type Argument = Uint8Array | bigint | number | null;

/** Their places in CK_FUNCTION_LIST, and what they take: an unsigned long, a byte or a pointer. */
const functions = {
  C_Initialize: [0, 'p'],
  C_GetSlotList: [4, 'bpp'],
  C_GetTokenInfo: [6, 'up'],
  C_GetMechanismList: [7, 'upp'],
  C_OpenSession: [12, 'uuppp'],
  C_Login: [18, 'uupu'],
  C_DestroyObject: [22, 'uu'],
  C_GetAttributeValue: [24, 'uupu'],
  C_FindObjectsInit: [26, 'upu'],
  C_FindObjects: [27, 'upup'],
  C_FindObjectsFinal: [28, 'u'],
  C_SignInit: [42, 'upu'],
  C_Sign: [43, 'upupp'],
  C_GenerateKeyPair: [59, 'uppupupp'],
} as const satisfies Record<string, readonly [number, string]>;

type FunctionName = keyof typeof functions;
const types = { u: 'unsigned long', b: 'unsigned char', p: 'void *' } as const;
const wordBytes = 8;
const functionListWords = 69; // CK_VERSION, which takes a whole word, and 68 functions

/** For as long as this process lives: koffi unloads a library that nothing refers to, with its functions still in use. */
const loaded: unknown[] = [];

export class CryptokiError extends TokenError {
  /** Such as `CKR_PIN_INCORRECT`. */
  readonly returnValue: string;

  constructor(name: string, value: number) {
    const known = Object.entries(returnValues).find((entry) => entry[1] === value);
    const returnValue = known?.[0] ?? `return value 0x${value.toString(16)}`;
    super(faultsOfCalls.includes(returnValue) ? 'unfit' : 'lost', `${name}: ${returnValue}`);
    this.returnValue = returnValue;
  }
}

export interface Cryptoki {
  /** Rejects with a `CryptokiError` for every return value but CKR_OK. `held` is what structures among the arguments point at. */
  call(name: FunctionName, arguments_: readonly Argument[], held?: readonly Uint8Array[]): Promise<void>;
  addressOf(bytes: Uint8Array): bigint;
}

/** Loads the vendor's library into this process. Rejects, and says so, where it is none. */
export async function loadCryptoki(module: string): Promise<Cryptoki> {
  const { default: koffi } = await import('koffi').catch((cause) => {
    throw new Error('the optional package koffi is not installed, or not for this machine', { cause });
  });
  const list = readFunctionList();

  function readFunctionList(): Buffer {
    try {
      const library = koffi.load(module);
      loaded.push(library);
      const getFunctionList = library.func('C_GetFunctionList', types.u, [types.p]);
      const pointer = words(1);
      if (Number(getFunctionList(pointer)) !== 0) throw new Error('C_GetFunctionList failed');
      return Buffer.from(koffi.view(pointer.readBigUInt64LE(), functionListWords * wordBytes));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'error';
      throw new TokenError('lost', `${module} cannot be used as a PKCS #11 library: ${why}`);
    }
  }

  const bind = (name: FunctionName) => {
    const [index, parameters] = functions[name];
    const prototype = koffi.proto(
      types.u,
      [...parameters].map((letter) => (letter === 'u' ? types.u : letter === 'b' ? types.b : types.p)),
    );
    return koffi.decode(list.readBigUInt64LE((index + 1) * wordBytes), prototype);
  };
  const bound = new Map<FunctionName, ReturnType<typeof bind>>();
  const inUse = new Set<unknown>(); // what another thread reads must not be collected

  return {
    addressOf: (bytes) => koffi.address(bytes),
    call: (name, arguments_, held = []) => {
      const entry = bound.get(name) ?? bind(name);
      bound.set(name, entry);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const kept = [arguments_, held];
      inUse.add(kept);
      entry.async(...arguments_, (error: unknown, value: number | bigint) => {
        inUse.delete(kept);
        if (error) reject(error);
        else if (Number(value) !== 0) reject(new CryptokiError(name, Number(value)));
        else resolve();
      });
      return promise;
    },
  };
}

/** Room for so many unsigned longs or pointers; their values, where given. */
export function words(count: number, ...values: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(count * wordBytes);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), index * wordBytes);
  return bytes;
}

/** The unsigned long at this place. */
export function wordAt(bytes: Buffer, index: number): number {
  return Number(bytes.readBigUInt64LE(index * wordBytes));
}
