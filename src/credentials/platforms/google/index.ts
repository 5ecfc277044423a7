/** Google Cloud: identity tokens of service accounts, as metadata servers give them (Cloud Run, Functions, GCE, GKE). */
import type { JsonObject } from '../../../core/json.ts';
import type { Platform } from '../../../core/platform.ts';

export const google: Platform = {
  name: 'google',
  algorithms: ['RS256'],
  // The service account's unique id: a deleted account's e-mail address can be given to another.
  defaultSubject: '/{issuer-name}/service-account/{sub}',
  maxTokenLifetimeSeconds: 3600,
  isSharedIssuer: () => true, // with every customer, and with every person who signs in with Google
  tenantClaims: ['sub', 'email'],
  nameClaims: ['email', 'google.compute_engine.instance_name'],
  check,
};

const serviceAccount = /^[^@\s]+@([a-z0-9-]+\.)+gserviceaccount\.com$/;

/** People have tokens of this issuer too, with numeric subjects like those of service accounts. */
function check({ sub, email, email_verified: isVerified, azp, hd }: JsonObject): string | undefined {
  if (typeof sub !== 'string' || !/^[0-9]{1,32}$/.test(sub)) return 'sub is not a numeric id';
  if (hd !== undefined) return 'hd: a token of a person';
  // A person's token is made for an OAuth client; a service account's names the account itself.
  if (typeof azp === 'string' && azp.endsWith('.apps.googleusercontent.com')) {
    return 'azp is an OAuth client: a token of a person';
  }
  if (email === undefined) return undefined; // the format without e-mail: `require` pins sub
  if (typeof email !== 'string' || !serviceAccount.test(email)) return 'email is not a service account’s';
  return isVerified === true ? undefined : 'email_verified is not true';
}
