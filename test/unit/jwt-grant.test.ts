/** What a JWT authorization grant says, and what it never says. */
import { expect, it } from 'vitest';
import { draftJwtGrant } from '../../src/core/jwt-grant.ts';
import { countingSigner, exampleOrder } from '../support/token-drafts.ts';
import { testNowSeconds } from '../support/tokens.ts';

it('is for one authorization server, and no claim of ours gives way to an added one', () => {
  const order = {
    ...exampleOrder,
    lifetimeSeconds: 300,
    addedClaims: { tenant: 'acme', aud: 'other', iss: 'x' },
  };
  const { header, claims, token } = draftJwtGrant(countingSigner(), order);
  expect(header).toEqual({ typ: 'JWT', alg: 'ES256', kid: 'k1' });
  expect(claims).toEqual({
    tenant: 'acme',
    iss: order.issuer,
    sub: order.subject,
    aud: order.audience,
    exp: testNowSeconds + 300,
    iat: testNowSeconds,
    jti: token.jti,
    scope: 'items:read items:write',
  });
  expect(token).toMatchObject({ tokenType: 'N_A', confirmation: undefined });
});

it('names who acts, and leaves out scopes where there are none', () => {
  const act = { sub: exampleOrder.subject };
  const { claims } = draftJwtGrant(countingSigner(), { ...exampleOrder, scopes: [], addedClaims: {}, act });
  expect(Object.keys(claims).toSorted()).toEqual(['act', 'aud', 'exp', 'iat', 'iss', 'jti', 'sub']);
  expect(claims.act).toEqual(act);
});
