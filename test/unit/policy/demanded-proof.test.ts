/** Resources that demand a proof: what a request must show, and what `explain`, policy tests and a replay say of it. */
import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/core/audit.ts';
import { decide } from '../../../src/core/decide.ts';
import { createExplain } from '../../../src/core/explain.ts';
import { replayAttempt } from '../../../src/core/replay.ts';
import { bindingFor, certificateProof, type ProofShown } from '../../../src/core/request-proof.ts';
import { makeRoot } from '../../support/svid-authority.ts';
import { compileText, exampleText, exampleWith, identity } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const nowSeconds = now / 1000;
const audience = 'https://inventory.internal.example';
const demanding = (proof: string) =>
  compileText(exampleWith('  tokenLifetime: 10m', `  tokenLifetime: 10m\n  proof: ${proof}`));
const orders = identity('spiffe://prod.example/orders', { expiresAt: nowSeconds + 3600 });
const stranger = identity('spiffe://prod.example/nobody', { expiresAt: nowSeconds + 3600 });
const decideOn = (demanded: string, proof?: ProofShown, who = orders) =>
  decide(who, { audience, proof }, demanding(demanded), now);

describe('a resource that demands', () => {
  it.each<[string, ProofShown | undefined]>([
    ['none', undefined],
    ['none', { kind: 'dpop' }],
    ['none', { kind: 'mtls', endsAt: nowSeconds - 1 }],
    ['dpop', { kind: 'dpop' }],
    ['mtls', { kind: 'mtls' }],
    ['mtls', { kind: 'mtls', endsAt: nowSeconds + 1 }],
  ])('%s permits %o', (demanded, proof) => {
    expect(decideOn(demanded, proof)).toMatchObject({ permit: true });
  });

  it.each<[string, ProofShown | undefined, string, string]>([
    ['dpop', undefined, 'policy.dpop_required', 'none'],
    ['dpop', { kind: 'mtls' }, 'policy.dpop_required', 'mtls'],
    ['mtls', undefined, 'policy.certificate_required', 'none'],
    ['mtls', { kind: 'dpop' }, 'policy.certificate_required', 'dpop'],
    [
      'mtls',
      { kind: 'mtls', endsAt: nowSeconds },
      'policy.certificate_required',
      'mtls, with a certificate that is over',
    ],
  ])('%s refuses %o', (demanded, proof, reason, actual) => {
    const decision = decideOn(demanded, proof);
    expect(decision).toMatchObject({ permit: false, reason });
    expect(decision.checks.at(-1)).toEqual({ check: 'proof', ok: false, expected: demanded, actual });
  });

  it('says so to nobody who has no grant on it', () => {
    expect(decideOn('dpop', undefined, stranger)).toMatchObject({ reason: 'policy.no_grant' });
  });
});

describe('a certificate', () => {
  it('ends the token that it binds, and no other', () => {
    const proof = { kind: 'mtls', endsAt: nowSeconds + 60 } as const;
    expect(decideOn('mtls', proof)).toMatchObject({ lifetimeSeconds: 60 });
    expect(decideOn('none', proof)).toMatchObject({ lifetimeSeconds: 300 });
  });

  it('binds where it authenticates its client, or where the resource wants it; a proof always does', () => {
    const platform = { credentialKind: 'platform-token' } as const;
    const svid = { credentialKind: 'x509-svid' } as const;
    expect(bindingFor({ kind: 'mtls' }, platform, { proof: 'none' })).toBeUndefined();
    expect(bindingFor({ kind: 'mtls' }, platform, { proof: 'mtls' })).toBe('mtls');
    expect(bindingFor({ kind: 'mtls' }, svid, { proof: 'none' })).toBe('mtls');
    expect(bindingFor({ kind: 'dpop' }, svid, { proof: 'none' })).toBe('dpop');
    expect(bindingFor(undefined, svid, { proof: 'none' })).toBeUndefined();
  });

  it('is read only where it is one certificate in DER', async () => {
    const { der, certificate } = await makeRoot(now);
    const endsAt = certificate.notAfter.getTime() / 1000;
    expect(certificateProof(der)).toEqual({ kind: 'mtls', certificate: der, endsAt });
    expect(certificateProof(Buffer.from('no certificate'))).toBeUndefined();
    expect(certificateProof(Buffer.concat([der, Buffer.of(0)]))).toBeUndefined();
  });
});

describe('a question', () => {
  const explain = createExplain(
    async () => ({ ...orders, credentialKind: 'x509-svid' }),
    () => orders,
    { refusesNew: () => undefined },
  );
  const given = { spiffeId: orders.spiffeId };

  it('names the proof that is supposed to be shown', async () => {
    const policy = demanding('dpop');
    expect(await explain({ given, audience, proof: 'dpop' }, policy, now)).toMatchObject({
      outcome: 'permitted',
    });
    expect(await explain({ given, audience }, policy, now)).toMatchObject({
      outcome: 'refused',
      reason: 'policy.dpop_required',
      detail: 'proof: expected dpop, actual none',
    });
  });

  it('about an X.509-SVID shows the certificate', async () => {
    const credential = { lane: 'client_certificate', token: expect.anything(), declaredType: 'any' } as const;
    expect(await explain({ given: { credential }, audience }, demanding('mtls'), now)).toMatchObject({
      outcome: 'permitted',
    });
  });
});

describe('a replay', () => {
  it('knows what was shown', () => {
    const event: AuditEvent = {
      requestId: 'r1',
      at: now - 1000,
      outcome: 'permitted',
      action: 'token.exchange',
      remoteAddress: '192.0.2.1',
      credentialKind: 'jwt-svid',
      trustDomain: 'prod.example',
      identity: orders.spiffeId,
      claims: {},
      audience,
      checks: [],
    };
    const before = compileText(exampleText);
    expect(replayAttempt({ ...event, proof: 'dpop' }, before, demanding('dpop'), now)).toEqual({
      change: 'none',
    });
    expect(replayAttempt(event, before, demanding('dpop'), now)).toMatchObject({
      change: 'newly-refused',
      after: 'policy.dpop_required',
    });
  });
});
