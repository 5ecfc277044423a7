/** What STS answers to GetCallerIdentity, as claims. Anything but exactly that answer is refused. */
import { z } from 'zod';
import { refuse } from '../../../core/error.ts';
import { readXml } from './xml.ts';

export interface CallerClaims {
  readonly [claim: string]: string;
  /** The role or user in IAM, as `arn:<partition>:iam::<account>:role/<name>`; the path of a role is not known. */
  readonly arn: string;
  readonly account: string;
  /** `role/<name>` or `user/<name>`, unique within the account. */
  readonly principal: string;
  /** The id that no other role or user ever has, even one of the same name (`AROA…`, `AIDA…`). */
  readonly principal_id: string;
}

const answerSchema = z.strictObject({
  GetCallerIdentityResponse: z.strictObject({
    GetCallerIdentityResult: z.strictObject({
      Arn: z.string().max(2048),
      UserId: z.string().max(256),
      Account: z.string().regex(/^[0-9]{12}$/),
    }),
    ResponseMetadata: z.strictObject({ RequestId: z.string() }),
  }),
});

const name = '[A-Za-z0-9_+=,.@-]';
const roleResource = new RegExp(`^assumed-role/(${name}{1,64})/(${name}{2,64})$`);
const userResource = new RegExp(`^user/(?:[\\x21-\\x7e]*/)?(${name}{1,64})$`);

/** Throws `credential.platform_refused` for another answer, another partition, and callers that are no role or user. */
export function readCallerIdentity(
  body: string,
  { partition, region }: { readonly partition: string; readonly region: string },
): CallerClaims {
  const answer = answerSchema.safeParse(readAnswer(body));
  if (!answer.success)
    return refuse('credential.platform_refused', 'the answer is not GetCallerIdentityResponse');
  const {
    Arn: arn,
    UserId: userId,
    Account: account,
  } = answer.data.GetCallerIdentityResponse.GetCallerIdentityResult;
  const [prefix, ofPartition, service, emptyRegion, ofAccount, ...rest] = arn.split(':');
  const resource = rest.join(':');
  if (prefix !== 'arn' || ofPartition !== partition || emptyRegion !== '' || ofAccount !== account) {
    return refuse('credential.platform_refused', 'the ARN is not of the region’s partition and the account');
  }
  const common = { account, partition, region };
  const iam = `arn:${partition}:iam::${account}`;

  const [, role, session] = service === 'sts' ? (roleResource.exec(resource) ?? []) : [];
  if (role !== undefined && session !== undefined) {
    const [id = '', ofSession, ...more] = userId.split(':');
    if (!/^AROA[A-Z0-9]{12,124}$/.test(id) || ofSession !== session || more.length > 0) {
      return refuse('credential.platform_refused', 'the UserId is not that of the assumed role');
    }
    // The caller chose the session's name: an attribute, and no part of who it is.
    return {
      ...common,
      arn: `${iam}:role/${role}`,
      principal: `role/${role}`,
      role,
      principal_id: id,
      session,
    };
  }
  const [, user] = service === 'iam' ? (userResource.exec(resource) ?? []) : [];
  if (user !== undefined && /^AIDA[A-Z0-9]{12,124}$/.test(userId)) {
    return { ...common, arn, principal: `user/${user}`, user, principal_id: userId };
  }
  return refuse('credential.platform_refused', 'the caller is neither an assumed role nor a user');
}

function readAnswer(body: string): unknown {
  if (/^\s*</.test(body)) return readXml(body);
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
