/** AWS: the JWTs of `sts:GetWebIdentityToken`, which any role or user can have (outbound identity federation). */
import { isJsonObject, type JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

const details = 'https://sts.amazonaws.com/';

export const awsWebIdentity: Platform = {
  name: 'aws-web-identity',
  algorithms: ['RS256', 'ES384'],
  // `sub` is an ARN, whose colons no SPIFFE ID holds. Its path stays: role/team-a/app is not role/team-b/app.
  defaultSubject: '/{issuer-name}/account/{aws.account}/{aws.principal|path}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: () => false, // an account has an issuer of its own
  tenantClaims: [],
  foreignAudiences: ['sts.amazonaws.com'],
  callerClaims: [`${details}.request_tags`],
  deriveClaims,
  check,
};

interface Principal {
  readonly account: string;
  /** `role/team/app` or `user/name`. */
  readonly principal: string;
}

/** `aws.account` and `aws.principal`, the two parts of `sub` that tell principals of one account apart. */
function deriveClaims({ sub }: JsonObject): JsonObject {
  const parts = readArn(sub);
  return { aws: parts === undefined ? {} : { account: parts.account, principal: parts.principal } };
}

function readArn(arn: unknown): Principal | undefined {
  if (typeof arn !== 'string') return undefined;
  const match = /^arn:aws(?:-[a-z]+)*:iam::([0-9]{12}):((?:role|user)\/[^:]+)$/.exec(arn);
  const [, account, principal] = match ?? [];
  return account === undefined || principal === undefined ? undefined : { account, principal };
}

function check(claims: JsonObject): string | undefined {
  const parts = readArn(claims.sub);
  if (parts === undefined) return 'sub is not the ARN of a role or user';
  const aws = claims[details];
  if (!isJsonObject(aws)) return `no ${details} claim: not a token of GetWebIdentityToken`;
  return aws.aws_account === parts.account ? undefined : 'aws_account is not the account that sub names';
}
