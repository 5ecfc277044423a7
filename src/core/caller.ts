/** Who is asking, and for whom? Verifies every credential of a request. */
import type { Credential } from './credential.ts';
import type { Delegation, Inherited } from './delegation.ts';
import { OAuthError, refuse } from './error.ts';
import { endingWithEarlier, type Identity } from './identity.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { Verify } from './ports.ts';
import type { TokenRequest } from './request.ts';

/** Whom a subject token is about; `inherited` is there where we minted it. */
export interface ProvenSubject {
  readonly identity: Identity;
  readonly inherited?: Inherited;
}

/** As `Verify`, but takes a token of our own too, which proves whom it is about and never who presents it. */
export type VerifySubject = (
  credential: Credential,
  policy: PolicySnapshot,
  nowMillis: number,
) => Promise<ProvenSubject>;

export interface CallerParts {
  readonly issuer: string;
  readonly verify: Verify;
  readonly verifySubject: VerifySubject;
}

export interface Caller {
  /** Whose grants decide: the client, or the subject where the request names no client. */
  readonly identity: Identity;
  readonly delegation?: Delegation;
  /** What was proven: each may be good for one use. */
  readonly proofs: readonly Identity[];
}

/** `onCaller` is told who asks as soon as that is proven, so that what is refused afterwards is known to be theirs. */
export async function proveCaller(
  parts: CallerParts,
  request: TokenRequest,
  policy: PolicySnapshot,
  nowMillis: number,
  onCaller: (caller: Identity) => void,
): Promise<Caller> {
  const prove = <T>(
    verify: (credential: Credential, policy: PolicySnapshot, nowMillis: number) => Promise<T>,
    credential: Credential,
  ) =>
    verify(credential, policy, nowMillis).catch((error) => {
      throw OAuthError.from(error, credential.lane);
    });
  const client = request.clientAssertion && (await prove(parts.verify, request.clientAssertion));
  if (client) {
    onCaller(client);
    checkClientId(request, client);
  }
  const { identity: subject, inherited } = await prove(parts.verifySubject, request.credential);
  if (client === undefined) {
    // RFC 8693 §2.1: without client authentication, whoever got hold of a token could have a new one for it.
    if (inherited !== undefined) return refuse('request.client_assertion_missing');
    onCaller(subject);
    if (request.actorToken !== undefined) return refuse('request.client_assertion_missing');
    checkClientId(request, subject);
    return { identity: subject, proofs: [subject] };
  }
  if (inherited !== undefined) {
    const isForClient = [client.spiffeId, parts.issuer].some((name) => subject.audiences.includes(name));
    if (!isForClient) {
      throw new OAuthError('token.audience_mismatch', {
        detail: 'the subject token is neither for this client nor for us',
        lane: request.credential.lane,
      });
    }
  }
  const actor = request.actorToken && (await prove(parts.verify, request.actorToken));
  if (actor === undefined && inherited === undefined && client.spiffeId === subject.spiffeId) {
    return { identity: endingWithEarlier(subject, client), proofs: [subject, client] };
  }
  return {
    identity: client,
    delegation: { subject, ...(actor && { actor }), ...(inherited && { inherited }) },
    proofs: [subject, client, ...(actor === undefined ? [] : [actor])],
  };
}

function checkClientId({ clientId }: TokenRequest, client: Identity): void {
  if (clientId !== undefined && !client.clientIds.includes(clientId)) refuse('request.client_id_mismatch');
}
