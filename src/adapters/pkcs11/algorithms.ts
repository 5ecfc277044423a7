/** What each signing algorithm is in PKCS #11: how its keys are made and read, and how it signs. */
import { createHash } from 'node:crypto';
import type { TokenAlgorithm } from '../../core/algorithm.ts';
import { type Attribute, number } from './attributes.ts';
import { attribute, mechanism, mgf1Sha256 } from './constants.ts';
import { words } from './cryptoki.ts';
import { TokenError } from './token.ts';

interface Mechanism {
  readonly type: number;
  readonly parameter?: Uint8Array;
}

export interface Kind {
  readonly generation: number;
  readonly signing: Mechanism;
  /** Of the public half, beside what all keys have. */
  readonly publicTemplate: readonly Attribute[];
  /** What is read of a public key, and the JWK's members (RFC 7638 §3.2) from it. */
  readonly read: readonly number[];
  readonly members: (values: readonly Buffer[]) => Readonly<Record<string, string>>;
  /** What the token is given to sign. */
  readonly prepare: (input: Uint8Array) => Uint8Array;
  readonly signatureBytes: number;
}

const rsaBits = 3072;
/** DigestInfo of a SHA-256 hash, RFC 8017 §9.2. */
const sha256DigestInfo = Buffer.from('3031300d060960864801650304020105000420', 'hex');

const hash = (name: string) => (input: Uint8Array) => createHash(name).update(input).digest();

/** `curve`: its object identifier in DER (RFC 5480 §2.1.1.1). */
const ecdsa = (crv: string, curve: string, digest: string, coordinateBytes: number): Kind => ({
  generation: mechanism.ecKeyPairGen,
  signing: { type: mechanism.ecdsa },
  publicTemplate: [{ type: attribute.ecParams, value: Buffer.from(curve, 'hex') }],
  read: [attribute.ecParams, attribute.ecPoint],
  members: ([parameters, point]) => {
    const bytes = pointOf(point, 1 + 2 * coordinateBytes);
    if (parameters?.toString('hex') !== curve || bytes?.[0] !== 4) throw notOf(crv);
    const x = bytes.subarray(1, 1 + coordinateBytes).toString('base64url');
    const y = bytes.subarray(1 + coordinateBytes).toString('base64url');
    return { crv, kty: 'EC', x, y };
  },
  prepare: hash(digest),
  signatureBytes: 2 * coordinateBytes, // R ‖ S in PKCS #11 as in RFC 7518 §3.4
});

const rsa = (signing: Mechanism, prepare: Kind['prepare']): Kind => ({
  generation: mechanism.rsaKeyPairGen,
  signing,
  publicTemplate: [
    number(attribute.modulusBits, rsaBits),
    { type: attribute.publicExponent, value: Buffer.of(1, 0, 1) },
  ],
  read: [attribute.publicExponent, attribute.modulus],
  members: (values) => {
    const [exponent, modulus] = values.map(withoutLeadingZeros);
    if (exponent?.length === 0 || modulus?.length !== rsaBits / 8) throw notOf('RSA');
    return { e: exponent?.toString('base64url') ?? '', kty: 'RSA', n: modulus.toString('base64url') };
  },
  prepare,
  signatureBytes: rsaBits / 8,
});

export const kinds: Readonly<Record<TokenAlgorithm, Kind>> = {
  ES256: ecdsa('P-256', '06082a8648ce3d030107', 'sha256', 32),
  ES384: ecdsa('P-384', '06052b81040022', 'sha384', 48),
  RS256: rsa({ type: mechanism.rsaPkcs }, (input) =>
    Buffer.concat([sha256DigestInfo, hash('sha256')(input)]),
  ),
  PS256: rsa(
    // CK_RSA_PKCS_PSS_PARAMS; the salt as long as the hash, RFC 7518 §3.5
    { type: mechanism.rsaPkcsPss, parameter: words(3, mechanism.sha256, mgf1Sha256, 32) },
    hash('sha256'),
  ),
  EdDSA: {
    generation: mechanism.edwardsKeyPairGen,
    signing: { type: mechanism.eddsa },
    publicTemplate: [{ type: attribute.ecParams, value: Buffer.from('06032b6570', 'hex') }], // RFC 8410 §3
    read: [attribute.ecPoint],
    members: ([point]) => {
      const x = pointOf(point, 32);
      if (x === undefined) throw notOf('Ed25519');
      return { crv: 'Ed25519', kty: 'OKP', x: x.toString('base64url') };
    },
    prepare: (input) => input,
    signatureBytes: 64,
  },
};

/** Version 2.40 wraps points in an OCTET STRING of DER; version 3 and some tokens do not. */
function pointOf(value: Buffer | undefined, pointBytes: number): Buffer | undefined {
  if (value?.length === pointBytes) return value;
  const isWrapped = value?.length === pointBytes + 2 && value[0] === 4 && value[1] === pointBytes;
  return isWrapped ? value.subarray(2) : undefined;
}

function withoutLeadingZeros(value: Buffer): Buffer {
  const start = value.findIndex((byte) => byte !== 0);
  return value.subarray(start < 0 ? value.length : start);
}

function notOf(kind: string): TokenError {
  return new TokenError('unfit', `is no ${kind} key`);
}
