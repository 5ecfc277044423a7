/** Who may administer this server: puts the bootstrap token, our own tokens and the policy's grants together. */
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from './config.ts';
import { grantedAdminScopes, isAdminLeft } from './core/policy/admin-grants.ts';
import { adminAudience } from './core/policy/admin-resource.ts';
import type { PolicyBook } from './core/policy/book.ts';
import type { Secret } from './core/secret.ts';
import type { VerifyShownToken } from './core/token-binding.ts';
import { type Authenticate, createAuthenticate } from './http/admin/admin-caller.ts';

export interface AdminParts {
  readonly config: Pick<Config, 'issuer' | 'trustDomain'>;
  readonly bootstrapToken: Secret<string> | undefined;
  readonly policyBook: PolicyBook;
  readonly verifyShownToken: VerifyShownToken;
}

/** The gate's own part. Warns where it lets nobody in who could change the policy: the exchange still serves, so that is no reason not to start. */
export function openAdmins(
  { config, bootstrapToken, policyBook, verifyShownToken }: AdminParts,
  logger: FastifyBaseLogger,
): Authenticate {
  const { issuer, trustDomain } = config;
  if (bootstrapToken === undefined && !isAdminLeft(policyBook.current(), trustDomain)) {
    logger.warn(
      'nobody can change the policy over REST: the bootstrap token is off, and no grant on mintmark-admin without notAfter or condition gives policy:write and policy:admin to an identity that is vouched for; set MINTMARK_ADMIN_TOKEN, or add such a grant to MINTMARK_POLICY',
    );
  }
  return createAuthenticate({
    bootstrapToken,
    verifyShownToken,
    audience: adminAudience(issuer),
    scopesOf: (spiffeId, nowMillis) =>
      grantedAdminScopes(policyBook.current(), spiffeId, trustDomain, nowMillis),
  });
}
