/** The vectors, a client library's `private_key_jwt`, and what a document of uploaded keys must be. */
import { type CryptoKey, decodeJwt } from 'jose';
import { generateKeyPair, PrivateKeyJwt } from 'oauth4webapi';
import { describe, expect, it } from 'vitest';
import { jwksOf, makeKey } from '../../../../test/support/tokens.ts';
import { makeIssuer, ownIssuer, verifierFor } from '../../../../test/support/tokens-policy.ts';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { context } from '../../../../test/unit/policy/example-policy.ts';
import { compilePolicy } from '../../../core/policy/compile.ts';
import { customerKey } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(customerKey, vectors);

describe('private_key_jwt of oauth4webapi', () => {
  it('is accepted as a client assertion that may be used once', async () => {
    const key = await makeKey('orders-1');
    const assertionBy = async (privateKey: CryptoKey) => {
      const body = new URLSearchParams();
      const authenticate = PrivateKeyJwt({ key: privateKey, kid: key.kid });
      await authenticate({ issuer: ownIssuer }, { client_id: 'orders' }, body, new Headers());
      return body.get('client_assertion') ?? '';
    };
    const issuer = {
      name: 'orders',
      platform: customerKey,
      issuerUrl: 'orders',
      keys: { jwks: jwksOf(key) },
    };
    const verify = verifierFor(makeIssuer(issuer));
    const assertion = await assertionBy(key.privateKey);
    const nowMillis = (decodeJwt(assertion).iat ?? 0) * 1000; // the library asks the clock itself
    const identity = await verify(assertion, 'client_assertion', { nowMillis });
    expect(identity).toMatchObject({ spiffeId: 'spiffe://mint.example/orders/orders' });
    expect(identity.clientIds).toContain('orders');
    expect(identity.onceKey).toMatch(/^[\w-]{43}$/);

    const { privateKey: stranger } = await generateKeyPair('ES256');
    await expect(
      verify(await assertionBy(stranger), 'client_assertion', { nowMillis }),
    ).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
  });
});

describe('documents for customer-key', async () => {
  const { keys } = jwksOf(await makeKey('orders-1'));
  const compile = (fields: object) => {
    const spec = { platform: 'customer-key', issuer: 'orders', keys: { jwks: { keys } }, ...fields };
    const value = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'orders' }, spec };
    return compilePolicy([{ value, managedBy: 'rest', locate: () => ({}) }], context, 1);
  };

  it.each(['orders', 'urn:acme:orders', 'https://orders.example'])('may call the issuer %s', (issuer) => {
    expect(compile({ issuer }).issuers.get(issuer)).toMatchObject([{ once: true }]);
  });

  it('must hold the keys themselves', () => {
    expect(() => compile({ keys: undefined })).toThrow(/keys: must be jwks/);
    expect(() => compile({ keys: { jwksUri: 'https://orders.example/jwks' } })).toThrow(/keys: must be jwks/);
  });

  it.each(['two words', 'line\nbreak'])('may not call the issuer %j', (issuer) => {
    expect(() => compile({ issuer })).toThrow(/must hold no spaces/);
  });

  it('may not name Mintmark itself', () => {
    expect(() => compile({ issuer: context.issuer })).toThrow(/is Mintmark itself/);
  });
});
