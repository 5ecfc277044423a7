/** The claims that every JWT credential has, whoever issued it: times and audience (RFC 7519 §4.1, RFC 7523 §3). */
import { refuse } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import { echo, echoAll } from './echo.ts';

/** How far ahead of ours an issuer's clock may be. It excuses `nbf` and `iat` only: an expired token is expired. */
export const clockSkewSeconds = 30;

const maxNumericDate = 253_402_300_799; // the end of the year 9999

export interface TokenTimes {
  /** Seconds since the epoch, as claimed. */
  readonly expiresAt: number;
  readonly issuedAt: number | undefined;
}

/** Throws `credential.claim_missing`, `.claim_malformed`, `.expired`, `.not_yet_valid` or `.issued_in_future`. */
export function checkTimes(claims: JsonObject, nowMillis: number): TokenTimes {
  const nowSeconds = nowMillis / 1000;
  const expiresAt = numericDate(claims, 'exp') ?? refuse('credential.claim_missing', 'exp');
  const notBefore = numericDate(claims, 'nbf');
  const issuedAt = numericDate(claims, 'iat');
  if (expiresAt <= nowSeconds) {
    refuse('credential.expired', `exp is ${seconds(nowSeconds - expiresAt)} ago`);
  }
  if (notBefore !== undefined && notBefore > nowSeconds + clockSkewSeconds) {
    refuse(
      'credential.not_yet_valid',
      `nbf is ${seconds(notBefore - nowSeconds)} ahead, at most ${clockSkewSeconds} s`,
    );
  }
  if (issuedAt !== undefined && issuedAt > nowSeconds + clockSkewSeconds) {
    refuse(
      'credential.issued_in_future',
      `iat is ${seconds(issuedAt - nowSeconds)} ahead, at most ${clockSkewSeconds} s`,
    );
  }
  if (issuedAt !== undefined && expiresAt <= issuedAt) {
    refuse('credential.claim_malformed', 'exp is not later than iat');
  }
  return { expiresAt, issuedAt };
}

/** `exp` − `iat`, or what is left of it where there is no `iat`, must be at most `maxSeconds`. */
export function checkLifetime(
  { expiresAt, issuedAt }: TokenTimes,
  maxSeconds: number,
  nowMillis: number,
): void {
  const lifetimeSeconds = expiresAt - (issuedAt ?? nowMillis / 1000);
  if (lifetimeSeconds > maxSeconds) {
    refuse(
      'credential.lifetime_too_long',
      `expected at most ${maxSeconds} s, actual ${seconds(lifetimeSeconds)}`,
    );
  }
}

/** The token's audiences. Throws `credential.claim_missing` or `.claim_malformed`. */
export function readAudiences(claims: JsonObject): readonly string[] {
  if (!Object.hasOwn(claims, 'aud')) refuse('credential.claim_missing', 'aud');
  const { aud } = claims;
  const audiences = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : [];
  const strings = audiences.filter(
    (audience): audience is string => typeof audience === 'string' && audience !== '',
  );
  if (strings.length === 0 || strings.length !== audiences.length) {
    refuse('credential.claim_malformed', 'aud is not a string or a list of strings');
  }
  return strings;
}

/** At least one of the token's audiences must be one of `expected`, character by character. */
export function checkAudience(audiences: readonly string[], expected: readonly string[]): void {
  if (audiences.some((audience) => expected.includes(audience))) return;
  refuse('credential.audience_mismatch', `aud: expected ${echoAll(expected)}, actual ${echoAll(audiences)}`);
}

/** No audience may be one that is meant for somebody else, who would then hold a credential of the workload's. */
export function checkForeignAudiences(audiences: readonly string[], foreign: readonly string[]): void {
  const found = audiences.find((audience) => foreign.includes(audience));
  if (found === undefined) return;
  refuse('credential.audience_mismatch', `aud: ${echo(found)} is meant for someone else`);
}

/** A client assertion is for one server alone (RFC 7523bis §3): one audience, not the first of several. */
export function checkSoleAudience(audiences: readonly string[]): void {
  if (audiences.length !== 1) {
    refuse('credential.audience_not_sole', `aud: expected one value, actual ${audiences.length}`);
  }
}

/** A claim that must be a string where it is present. */
export function stringClaim(claims: JsonObject, name: string): string | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  if (typeof value !== 'string')
    refuse('credential.claim_malformed', `${name} is ${echo(value)}, not a string`);
  return value;
}

function numericDate(claims: JsonObject, name: string): number | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  // A string would compare by its digits, and `1e999` is JSON for Infinity: beyond the greatest date, as it should be.
  if (typeof value !== 'number' || value < 0 || value > maxNumericDate) {
    refuse('credential.claim_malformed', `${name} is ${echo(value)}, not a time in seconds`);
  }
  return value;
}

function seconds(value: number): string {
  return `${Math.round(value)} s`;
}
