/** Claims that name a person or an e-mail address: the audit never keeps them, whoever asks. */

/** Whole paths: `kubernetes.io.serviceaccount.name` names no person, `name` does. */
const atTop = new Set(['name', 'actor', 'profile', 'picture', 'website', 'nickname', 'upn', 'username']);

/** Wherever they stand. */
const anywhere = new Set([
  'email',
  'email_verified',
  'emails',
  'user_email',
  'given_name',
  'family_name',
  'middle_name',
  'preferred_username',
  'unique_name',
  'user_login',
  'user_name',
  'user_identities',
  'phone_number',
  'birthdate',
  'address',
]);

export function isPersonalClaim(path: string): boolean {
  return atTop.has(path) || path.split('.').some((segment) => anywhere.has(segment));
}
