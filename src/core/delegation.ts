/** Whom a token is about, who asks for it and who acts, where these are not one (RFC 8693 §1.1 and §4). */
import type { Check } from './audit.ts';
import { clip } from './clip.ts';
import type { Reason } from './error.ts';
import type { IdentityFields } from './identity.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import type { Grant } from './policy/snapshot.ts';
import type { SpiffeId } from './spiffe-id.ts';

/** What a client asks for with the subject token of somebody else, or with one that we minted. */
export interface Delegation {
  readonly subject: IdentityFields;
  /** Who acts, where that is said by an actor token and not to be the client. */
  readonly actor?: IdentityFields | undefined;
  readonly inherited?: Inherited | undefined;
}

/** What a token of our own leaves to the next one: never more than it holds itself. */
export interface Inherited {
  readonly scopes: readonly string[];
  readonly act?: Act | undefined;
  readonly mayAct?: Json | undefined;
}

/** The `act` claim: who acts now, and within it who did before (RFC 8693 §4.1). */
export type Act = { readonly sub: SpiffeId; readonly act?: Act };

/** Hops of one chain; each is another service that a stolen token could have passed through unseen. */
export const maxActors = 4;
const maxActBytes = 4096;

/** The actors of a chain, the one who acts now first. */
export function actorsOf(act: Act | undefined): readonly SpiffeId[] {
  const actors: SpiffeId[] = [];
  for (let at = act; at !== undefined; at = at.act) actors.push(at.sub);
  return actors;
}

/** Everybody whose credential the token rests on. */
export function partiesOf(client: IdentityFields, delegation?: Delegation): readonly IdentityFields[] {
  const { subject, actor } = delegation ?? {};
  return [client, subject, actor].filter((party) => party !== undefined);
}

/** When the first of the credentials ends, in seconds since the epoch; NaN where one never says. */
export function earliestEnd(client: IdentityFields, delegation?: Delegation): number {
  return Math.min(...partiesOf(client, delegation).map(({ expiresAt }) => expiresAt));
}

/** The claims that a token about the subject may copy. What a client's own credential says is about nobody else. */
export function subjectClaims(client: IdentityFields, delegation?: Delegation): JsonObject {
  const { subject = client } = delegation ?? {};
  return subject.spiffeId === client.spiffeId ? client.claims : subject.claims;
}

/** A token gives no scope that the token of ours that it is made from does not hold. */
export function checkInheritedScopes(asked: readonly string[], { scopes }: Inherited): Check {
  const beyond = asked.filter((scope) => !scopes.includes(scope));
  return {
    check: 'subject.scope',
    ok: beyond.length === 0,
    expected: clip(`among the subject token's: ${[...scopes].sort().join(' ') || '(none)'}`),
    actual: clip(beyond.length === 0 ? asked.join(' ') : `beyond them: ${beyond.join(' ')}`),
  };
}

export type Acting =
  | { readonly ok: true; readonly act?: Act; readonly check?: Check }
  | { readonly ok: false; readonly reason: Reason; readonly check: Check };

/**
 * What the token says of who acts. `grants` are those that contribute: only where all of them let the client impersonate
 * does it say nothing, and never where a chain has begun or an actor was named.
 */
export function actingFor(
  client: IdentityFields,
  delegation: Delegation | undefined,
  grants: readonly Grant[],
): Acting {
  if (delegation === undefined) return { ok: true };
  const { subject, actor, inherited } = delegation;
  const isForAnother = subject.spiffeId !== client.spiffeId;
  if (!isForAnother && actor === undefined && inherited?.act === undefined) return { ok: true };
  const acting = actor ?? client;
  const refused = (reason: Reason, expected: string, actual: string): Acting => ({
    ok: false,
    reason,
    check: { check: 'actor', ok: false, expected, actual: clip(actual) },
  });
  if (actor?.spiffeId === subject.spiffeId) {
    return refused('request.actor_is_subject', 'an actor who is not the subject', actor.spiffeId);
  }
  const mayAct = inherited === undefined ? subject.claims.may_act : inherited.mayAct;
  if (isForAnother && mayAct !== undefined && !isNamedBy(mayAct, acting, subject)) {
    return refused(
      'policy.actor_not_permitted',
      "the actor that the subject token's may_act names",
      acting.spiffeId,
    );
  }
  const mayImpersonate = grants.every((grant) => grant.delegation?.impersonate === true);
  if (mayImpersonate && actor === undefined && inherited?.act === undefined) {
    const actual = clip(`${client.spiffeId} as ${subject.spiffeId}, without an act claim`);
    return { ok: true, check: { check: 'actor', ok: true, expected: 'impersonate: true', actual } };
  }
  const act: Act = {
    sub: acting.spiffeId,
    ...(inherited?.act === undefined ? {} : { act: inherited.act }),
  };
  const actors = actorsOf(act);
  const shown = actors.join(' for ');
  if (actors.length > maxActors || JSON.stringify(act).length > maxActBytes) {
    return refused(
      'policy.actor_chain_too_long',
      `at most ${maxActors} actors, in ${maxActBytes} bytes`,
      `${actors.length}: ${shown}`,
    );
  }
  return { ok: true, act, check: { check: 'actor', ok: true, actual: clip(shown) } };
}

/**
 * `may_act` (RFC 8693 §4.4) names an actor by `sub`, and by `iss` where that is not the subject token's own. What it says
 * besides, nobody here can check, so that it names nobody then.
 */
function isNamedBy(mayAct: Json, actor: IdentityFields, subject: IdentityFields): boolean {
  if (!isJsonObject(mayAct) || typeof mayAct.sub !== 'string') return false;
  const { sub, iss = subject.claims.iss, ...others } = mayAct;
  if (Object.keys(others).length > 0) return false;
  if (sub === actor.spiffeId && mayAct.iss === undefined) return true;
  return iss !== undefined && iss === actor.claims.iss && sub === actor.claims.sub;
}
