/** Path validation (RFC 5280 §6, X509-SVID §4–§5) from a presented chain to one trust domain's own roots. */
import { type Reason, refuse } from '../core/error.ts';
import { type Certificate, KeyUsageFlags } from './certificate.ts';
import { echo, echoAll } from './echo.ts';
import { clockSkewSeconds } from './token-claims.ts';

/** The leaf, and the intermediates that it may be presented with. */
export const maxPresentedCertificates = 5;
const maxRootsTried = 32;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyExtendedKeyUsage = '2.5.29.37.0';
const signatureAlgorithms = ['ECDSA', 'RSASSA-PKCS1-v1_5', 'RSA-PSS'].flatMap((name) =>
  ['SHA-256', 'SHA-384', 'SHA-512'].map((hash) => `${name}/${hash}`),
);
const curves = ['prime256v1', 'secp384r1'];
const minRsaBits = 2048;
const maxRsaExponent = 2n ** 32n;
const maxRsaBits = 8192; // beyond it, one verification costs too much

/**
 * Each certificate must be certified by the next, in the order presented, until one is certified by a root. Throws an
 * `OAuthError` with a `credential.certificate_*` reason. Only `roots` are trusted, whatever else is presented.
 */
export function validatePath(
  chain: readonly [Certificate, ...Certificate[]],
  roots: readonly Certificate[],
  nowMillis: number,
): void {
  const [leaf] = chain;
  checkLeaf(leaf);
  const path: Certificate[] = [];
  for (const [index, certificate] of chain.entries()) {
    path.push(certificate);
    checkAlgorithms(certificate);
    const anchors = anchorsOf(certificate, roots);
    if (anchors.length > 0) {
      checkSomePath(path, anchors, nowMillis);
      return;
    }
    const next = chain[index + 1];
    if (next === undefined) break;
    if (next.subject !== certificate.issuer) {
      refuse(
        'credential.certificate_untrusted',
        `certificate ${index + 1} did not issue certificate ${index}`,
      );
    }
    if (!isFitKey(next))
      refuse('credential.certificate_algorithm_refused', `key of certificate ${index + 1}`);
    if (!certificate.isSignedWith(next.publicKey)) {
      refuse('credential.certificate_signature_invalid', `certificate ${index}`);
    }
  }
  const last = chain.at(-1);
  const isNamed = roots.some(({ subject }) => subject === last?.issuer);
  if (isNamed) refuse('credential.certificate_signature_invalid', `certificate ${chain.length - 1}`);
  refuse('credential.certificate_untrusted', 'no root of the trust domain issued it');
}

/** The roots that made its signature. All roots of a SPIRE server may have one name: those with the right key id come first. */
function anchorsOf(certificate: Certificate, roots: readonly Certificate[]): readonly Certificate[] {
  const named = roots.filter(({ subject }) => subject === certificate.issuer);
  const isMeant = ({ keyId }: Certificate) => keyId !== undefined && keyId === certificate.signerKeyId;
  return [...named.filter(isMeant), ...named.filter((root) => !isMeant(root))]
    .slice(0, maxRootsTried)
    .filter((root) => isFitKey(root) && certificate.isSignedWith(root.publicKey));
}

/** While an authority renews its root, two roots have one name and one key; one good path is enough. */
function checkSomePath(
  path: readonly Certificate[],
  anchors: readonly Certificate[],
  nowMillis: number,
): void {
  let refusal: unknown;
  for (const anchor of anchors) {
    try {
      checkPath([...path, anchor], nowMillis);
      return;
    } catch (error) {
      refusal ??= error;
    }
  }
  throw refusal;
}

function checkPath(path: readonly Certificate[], nowMillis: number): void {
  for (const [depth, certificate] of path.entries()) {
    const at = depth === path.length - 1 ? 'the root' : `certificate ${depth}`;
    checkTimes(certificate, at, nowMillis);
    if (certificate.unprocessed.length > 0) {
      refuse('credential.certificate_extension_refused', `${at}: ${echoAll(certificate.unprocessed)}`);
    }
    if (depth > 0) checkSigner(certificate, depth, at);
    // A root speaks for its trust domain whole; what an intermediate may be used for is narrowed by its own list.
    if (depth < path.length - 1) checkExtendedKeyUsage(certificate, at);
  }
}

function checkTimes({ notBefore, notAfter }: Certificate, at: string, nowMillis: number): void {
  const early = (notBefore - nowMillis) / 1000 - clockSkewSeconds;
  if (early > 0) {
    refuse(
      'credential.certificate_not_yet_valid',
      `${at}: valid in ${Math.ceil(early + clockSkewSeconds)} s`,
    );
  }
  if (notAfter <= nowMillis) {
    refuse(
      'credential.certificate_expired',
      `${at}: ended ${Math.round((nowMillis - notAfter) / 1000)} s ago`,
    );
  }
}

/** X509-SVID §4.1, §4.3, §5.2. */
function checkLeaf({ isAuthority, keyUsage }: Certificate): void {
  if (isAuthority) refuse('credential.certificate_not_leaf', 'cA is true');
  if (keyUsage === undefined || (keyUsage.flags & KeyUsageFlags.digitalSignature) === 0) {
    refuse('credential.certificate_key_usage', 'digitalSignature is not set');
  }
  if (!keyUsage.isCritical) refuse('credential.certificate_key_usage', 'the extension is not critical');
  if ((keyUsage.flags & (KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)) !== 0) {
    refuse('credential.certificate_not_leaf', 'keyCertSign or cRLSign is set');
  }
}

/** RFC 5280 §6.1.4 (k) to (n). */
function checkSigner({ isAuthority, keyUsage, pathLength }: Certificate, depth: number, at: string): void {
  if (!isAuthority) refuse('credential.certificate_signer_refused', `${at}: cA is not true`);
  if (((keyUsage?.flags ?? 0) & KeyUsageFlags.keyCertSign) === 0) {
    refuse('credential.certificate_signer_refused', `${at}: keyCertSign is not set`);
  }
  const below = depth - 1; // self-issued ones are counted too, which only ever refuses more
  if (pathLength !== undefined && below > pathLength) {
    refuse(
      'credential.certificate_path_length',
      `${at}: at most ${pathLength} authorities below, actual ${below}`,
    );
  }
}

function checkExtendedKeyUsage({ extendedKeyUsages }: Certificate, at: string): void {
  if (extendedKeyUsages === undefined) return;
  if (extendedKeyUsages.includes(clientAuth) || extendedKeyUsages.includes(anyExtendedKeyUsage)) return;
  refuse('credential.certificate_extended_key_usage', `${at}: clientAuth is not among them`);
}

function checkAlgorithms(certificate: Certificate): void {
  const reason: Reason = 'credential.certificate_algorithm_refused';
  const { signatureAlgorithm } = certificate;
  if (!signatureAlgorithms.includes(signatureAlgorithm))
    refuse(reason, `signed with ${echo(signatureAlgorithm)}`);
  if (!isFitKey(certificate))
    refuse(reason, 'the key is neither RSA of 2048 bits or more, nor P-256, nor P-384');
}

function isFitKey({ publicKey }: Certificate): boolean {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {};
  const type = publicKey.asymmetricKeyType;
  if (type === 'rsa') {
    const isSaneExponent = publicExponent > 2n && publicExponent < maxRsaExponent;
    return modulusLength >= minRsaBits && modulusLength <= maxRsaBits && isSaneExponent;
  }
  return type === 'ec' && curves.includes(namedCurve);
}
