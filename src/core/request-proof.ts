/** What a request shows besides its credential that its token can be bound to: a DPoP key (RFC 9449) or a certificate (RFC 8705). */
import { X509Certificate } from 'node:crypto';
import type { IdentityFields } from './identity.ts';
import type { Confirmation } from './own-token.ts';
import type { Resource } from './policy/snapshot.ts';
import type { ShownProof, VerifyDpop } from './ports.ts';
import { thumbprintOf } from './token-binding.ts';

export type ProofKind = 'dpop' | 'mtls';

/** One of the two. A proof is made on purpose, and a certificate is shown on every call: beside a proof it does not count. */
export type RequestProof =
  | (ShownProof & { readonly kind: 'dpop' })
  | {
      readonly kind: 'mtls';
      /** The leaf in DER; the client has shown to hold its private key. */
      readonly certificate: Uint8Array;
      /** When it ends, in seconds since the epoch. */
      readonly endsAt: number;
    };

/** What a decision asks of it; of a proof that is only supposed, no more is known. */
export type ProofShown = Pick<RequestProof, 'kind'> & { readonly endsAt?: number | undefined };

/**
 * Undefined for what is not one certificate in DER: nobody can say when a token that is bound to it has to end. Who
 * vouches for the certificate does not matter, since it says nothing but which key a token is for (RFC 8705 §6.3).
 */
export function certificateProof(leaf: Uint8Array): RequestProof | undefined {
  try {
    const certificate = new X509Certificate(leaf);
    const endsAt = Math.floor(certificate.validToDate.getTime() / 1000);
    if (Number.isNaN(endsAt) || Buffer.compare(certificate.raw, leaf) !== 0) return undefined;
    return { kind: 'mtls', certificate: leaf, endsAt };
  } catch {
    return undefined;
  }
}

/** Whether the token of this identity for this resource is bound, and to which kind of proof. */
export function bindingFor(
  proof: ProofShown | undefined,
  { credentialKind }: Pick<IdentityFields, 'credentialKind'>,
  resource: Pick<Resource, 'proof'>,
): ProofKind | undefined {
  if (proof?.kind !== 'mtls') return proof?.kind;
  // Whoever calls from a mesh shows a certificate on every call, and may not be able to show it where the token goes.
  return resource.proof === 'mtls' || credentialKind === 'x509-svid' ? 'mtls' : undefined;
}

/** What goes into the token, once it is decided which resource it is for. */
export type Bind = (identity: IdentityFields, resource: Resource) => Confirmation | undefined;

/** Verifies what is shown. Rejects with `dpop.…`, or `server.replay_guard_unavailable`. */
export async function proveRequest(
  verifyDpop: VerifyDpop,
  proof: RequestProof,
  nowMillis: number,
): Promise<Bind> {
  if (proof.kind === 'dpop') {
    const { jkt } = await verifyDpop(proof, nowMillis);
    return () => ({ jkt });
  }
  return (identity, resource) =>
    bindingFor(proof, identity, resource) && { 'x5t#S256': thumbprintOf(proof.certificate) };
}
