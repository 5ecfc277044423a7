/** The token itself, in the process that has the vendor's library loaded. */
import type { TokenAlgorithm } from '../../core/algorithm.ts';
import { type Kind, kinds } from './algorithms.ts';
import { type Attribute, flag, layOut, number, readAttributes, text } from './attributes.ts';
import { attribute, objectClass } from './constants.ts';
import { type Cryptoki, CryptokiError, loadCryptoki, wordAt, words } from './cryptoki.ts';
import { openSessions } from './session-pool.ts';
import { type KeyName, type Token, TokenError, type TokenSettings } from './token.ts';

const foundAtOnce = 64;
const staleHandles = ['CKR_KEY_HANDLE_INVALID', 'CKR_OBJECT_HANDLE_INVALID'];
const mechanismProblems = [
  'CKR_MECHANISM_INVALID',
  'CKR_MECHANISM_PARAM_INVALID',
  'CKR_CURVE_NOT_SUPPORTED',
  'CKR_DOMAIN_PARAMS_INVALID',
];

/** Rejects with a `TokenError`. */
export async function openToken(settings: TokenSettings): Promise<Token> {
  const cryptoki = await loadCryptoki(settings.module);
  const { slot, withSession } = await openSessions(cryptoki, settings);
  const privateKeys = new Map<string, bigint>();

  async function find(session: bigint, attributes: readonly Attribute[]): Promise<readonly bigint[]> {
    const template = layOut(cryptoki, attributes);
    await cryptoki.call('C_FindObjectsInit', [session, template.bytes, template.count], template.held);
    try {
      const found: bigint[] = [];
      for (;;) {
        const handles = words(foundAtOnce);
        const count = words(1);
        await cryptoki.call('C_FindObjects', [session, handles, foundAtOnce, count]);
        if (wordAt(count, 0) === 0) return found;
        for (let index = 0; index < wordAt(count, 0); index++) found.push(handles.readBigUInt64LE(index * 8));
      }
    } finally {
      await cryptoki.call('C_FindObjectsFinal', [session]);
    }
  }

  /** SoftHSM may show one object twice; that it is the right one is for the proof to show. */
  async function findOne(session: bigint, { label, id }: KeyName, type: number): Promise<bigint> {
    const [found] = await find(session, [number(attribute.class, type), ...named(label, id)]);
    if (found === undefined) throw new TokenError('missing', 'is not in the token');
    return found;
  }

  /** Handles are kept; one that is stale is looked for once more. */
  async function withPrivateKey<T>(
    session: bigint,
    key: KeyName,
    work: (handle: bigint) => Promise<T>,
  ): Promise<T> {
    const name = `${key.id} ${key.label}`;
    const known = privateKeys.get(name);
    if (known !== undefined) {
      try {
        return await work(known);
      } catch (error) {
        if (!isStale(error)) throw error;
      }
    }
    const found = await findOne(session, key, objectClass.privateKey);
    privateKeys.set(name, found);
    return await work(found);
  }

  async function sign(session: bigint, kind: Kind, handle: bigint, input: Uint8Array): Promise<Uint8Array> {
    const { type, parameter } = kind.signing;
    const signing = mechanismOf(cryptoki, type, parameter);
    await cryptoki.call('C_SignInit', [session, signing.bytes, handle], signing.held);
    const prepared = kind.prepare(input);
    const signature = Buffer.alloc(kind.signatureBytes);
    const length = words(1, signature.length);
    await cryptoki.call('C_Sign', [session, prepared, prepared.length, signature, length]);
    if (wordAt(length, 0) !== kind.signatureBytes) {
      throw new TokenError('lost', 'the token made a signature of an odd length');
    }
    return signature;
  }

  return {
    make: ({ label, id, algorithm }) =>
      withSession(async (session) => {
        const kind = kinds[algorithm];
        await requireMechanisms(cryptoki, slot, algorithm);
        const publicTemplate = layOut(cryptoki, [
          ...named(label, id),
          flag(attribute.token, true),
          flag(attribute.private, false),
          flag(attribute.verify, true),
          ...kind.publicTemplate,
        ]);
        const privateTemplate = layOut(cryptoki, [
          ...named(label, id),
          flag(attribute.token, true),
          flag(attribute.private, true),
          flag(attribute.sensitive, true),
          flag(attribute.extractable, false),
          flag(attribute.sign, true),
          flag(attribute.decrypt, false),
          flag(attribute.unwrap, false),
          flag(attribute.derive, false),
        ]);
        const [bytes, held] = [words(3, kind.generation), [...publicTemplate.held, ...privateTemplate.held]];
        await refusingMechanisms(algorithm, () =>
          cryptoki.call(
            'C_GenerateKeyPair',
            [
              ...[session, bytes, publicTemplate.bytes, publicTemplate.count],
              ...[privateTemplate.bytes, privateTemplate.count, words(1), words(1)],
            ],
            held,
          ),
        );
      }),
    publicMembers: (key) =>
      withSession(async (session) => {
        const { local, private: isPrivate, sensitive, extractable } = attribute;
        const guarded = [local, isPrivate, sensitive, extractable];
        const flags = await withPrivateKey(session, key, (handle) =>
          readAttributes(cryptoki, session, handle, guarded),
        );
        if (flags.map((value) => value.toString('hex')).join() !== '01,01,01,00') {
          throw new TokenError('unfit', 'was not made in the token, or can be read out of it');
        }
        const publicKey = await findOne(session, key, objectClass.publicKey);
        const kind = kinds[key.algorithm];
        return kind.members(await readAttributes(cryptoki, session, publicKey, kind.read));
      }),
    sign: ({ input, algorithm, ...key }) =>
      withSession((session) =>
        withPrivateKey(session, key, (handle) => sign(session, kinds[algorithm], handle, input)),
      ),
    ids: ({ label }) =>
      withSession(async (session) => {
        const ids = new Set<string>();
        for (const object of await find(session, [text(attribute.label, label)])) {
          // Another process may have destroyed it just now.
          const read = readAttributes(cryptoki, session, object, [attribute.id]);
          const [id] = await read.catch(unlessStale([]));
          if (id !== undefined) ids.add(id.toString());
        }
        return [...ids];
      }),
    destroy: ({ label, id }) =>
      withSession(async (session) => {
        privateKeys.delete(`${id} ${label}`);
        for (const object of await find(session, named(label, id))) {
          await cryptoki.call('C_DestroyObject', [session, object]).catch(unlessStale(undefined));
        }
      }),
  };
}

function isStale(error: unknown): boolean {
  return error instanceof CryptokiError && staleHandles.includes(error.returnValue);
}

const unlessStale =
  <T>(value: T) =>
  (error: unknown): T => {
    if (isStale(error)) return value;
    throw error;
  };

function named(label: string, id: string): readonly Attribute[] {
  return [text(attribute.label, label), text(attribute.id, id)];
}

/** CK_MECHANISM. */
function mechanismOf(cryptoki: Cryptoki, type: number, parameter?: Uint8Array) {
  if (parameter === undefined) return { bytes: words(3, type), held: [] };
  const held = [Buffer.alloc(parameter.length, parameter)];
  const [own] = held;
  return { bytes: words(3, type, own ? cryptoki.addressOf(own) : 0, parameter.length), held };
}

async function requireMechanisms(cryptoki: Cryptoki, slot: number, algorithm: TokenAlgorithm): Promise<void> {
  const count = words(1);
  await cryptoki.call('C_GetMechanismList', [slot, null, count]);
  const list = words(wordAt(count, 0));
  await cryptoki.call('C_GetMechanismList', [slot, list, count]);
  const has = (type: number) =>
    Array.from({ length: wordAt(count, 0) }, (_, index) => wordAt(list, index)).includes(type);
  const { generation, signing } = kinds[algorithm];
  if (has(generation) && has(signing.type)) return;
  throw new TokenError('unsupported', `the token cannot make ${algorithm} keys: it lacks the mechanism`);
}

async function refusingMechanisms(algorithm: TokenAlgorithm, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CryptokiError) || !mechanismProblems.includes(error.returnValue)) throw error;
    throw new TokenError('unsupported', `the token cannot make ${algorithm} keys (${error.message})`);
  }
}
