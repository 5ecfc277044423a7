/** What the schemas of all admin routes share: the security scheme, and the problems that they answer with. */
import { problemSchema } from './problem.ts';

export const secured = { tags: ['admin'], security: [{ admin: [] }] };

/** For the description of every route that changes the policy. */
export const scopesOfChange =
  '`policy:admin` is needed besides `policy:write` for what adds, alters or removes an Issuer, a TrustDomain or a grant of the admin API; for a dry run, `policy:read` besides `policy:write`, whatever would change.';

const descriptions = {
  400: 'The request could not be read.',
  401: 'The admin token is missing or was not accepted.',
  403: 'The admin token lacks a scope.',
  404: 'There is nothing here.',
  409: 'What is there stands against it; `type` and `detail` say what.',
  412: 'What is in force is not what `If-Match` or `If-None-Match` says.',
  413: 'The body is too large.',
  415: 'The content type is not supported.',
  422: 'The policy was refused; `problems` says what to mend.',
  429: 'Too many refused requests from this address.',
  503: 'A dependency does not answer; try again after `Retry-After` seconds.',
} as const;

/** Response schemas for these statuses, for the OpenAPI document. */
export function describedProblems<Status extends keyof typeof descriptions>(...statuses: readonly Status[]) {
  const responses = statuses.map((status) => [
    status,
    {
      description: descriptions[status],
      content: { 'application/problem+json': { schema: problemSchema } },
    },
  ]);
  return Object.fromEntries(responses) as Record<
    Status,
    { description: string; content: { 'application/problem+json': { schema: typeof problemSchema } } }
  >;
}
