/** Reads the form of `POST /oauth/token` (RFC 6749, 7521, 7523, 8693, 8707; SPIFFE client authentication). */
import { parseAdditionalClaims } from '../core/additional-claims.ts';
import type { Credential, DeclaredType } from '../core/credential.ts';
import { grantTypes } from '../core/discovery.ts';
import { type Lane, refuse } from '../core/error.ts';
import type { TokenRequest } from '../core/request.ts';
import { parseScope } from '../core/scope.ts';
import { Secret } from '../core/secret.ts';
import type { RequestedFormat } from '../core/token-format.ts';

const assertionTypes: ReadonlyMap<string, DeclaredType> = new Map([
  ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer', 'jwt'], // RFC 7523 §2.2
  ['urn:ietf:params:oauth:client-assertion-type:jwt-spiffe', 'jwt-svid'], // draft-ietf-oauth-spiffe-client-auth §3.1
]);

const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
export const accessTokenType = tokenType('access_token');
export const jwtTokenType = tokenType('jwt');

const formatByRequestedType: ReadonlyMap<string, RequestedFormat> = new Map([
  [accessTokenType, 'access_token'],
  [jwtTokenType, 'jwt'],
]);

const subjectTokenTypes: ReadonlyMap<string, DeclaredType> = new Map([
  [jwtTokenType, 'jwt'],
  [tokenType('id_token'), 'jwt'],
  [accessTokenType, 'jwt'],
  [tokenType('jwt_spiffe'), 'jwt-svid'],
  ['urn:ietf:params:aws:token-type:aws4_request', 'aws4_request'],
  ['urn:mintmark:token-type:aws-instance-identity', 'aws-instance-identity'],
]);

/** Parameters with a meaning here that RFC 6749 §3.2 lets appear once. All others are ignored. */
const singleValued = [
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'assertion',
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'scope',
  'additional_claims',
] as const;

type Parameter = (typeof singleValued)[number];
const singleValuedNames: ReadonlySet<string> = new Set(singleValued);

/** Far more than any client sends. */
const maxParameters = 100;

/** Counts the parameters before it splits them, which would cost 10 ms for a body that is full of them. */
export function parseForm(text: string): URLSearchParams {
  if (text.split('&', maxParameters + 1).length > maxParameters) {
    refuse('request.malformed', `more than ${maxParameters} parameters`);
  }
  return new URLSearchParams(text);
}

/** Throws an `OAuthError` with a `request.*` reason for a form that the RFCs refuse. */
export function readTokenForm(
  form: URLSearchParams,
  authorization: string | undefined,
  certificateChain?: readonly Uint8Array[],
): TokenRequest {
  const parameter = (name: Parameter) => form.get(name) || undefined; // §3.1: empty counts as omitted
  const required = (name: Parameter) => parameter(name) ?? refuse('request.missing_parameter', name);

  /** A client_assertion_type without its assertion is ignored: nono sends one. */
  const readOptionalClientAssertion = () => {
    const assertion = parameter('client_assertion');
    return assertion === undefined
      ? undefined
      : readClientAssertion(assertion, required('client_assertion_type'));
  };

  /** A certificate beside an assertion is not a second authentication: whoever calls from a mesh shows one on every call. */
  const readClient = () => {
    const isByAssertion = parameter('client_assertion') ?? parameter('client_assertion_type');
    if (isByAssertion !== undefined || certificateChain === undefined) {
      return readClientAssertion(required('client_assertion'), required('client_assertion_type'));
    }
    required('client_id'); // draft-ietf-oauth-spiffe-client-auth §3.2; the exchange holds it to be the SPIFFE ID
    return certificateCredential(certificateChain);
  };

  /** RFC 8693 §2.1: neither of the two without the other. */
  const readActorToken = () => {
    if (parameter('actor_token') === undefined && parameter('actor_token_type') === undefined)
      return undefined;
    const declaredType = declaredTypeOf(required('actor_token_type'));
    return credential('actor_token', required('actor_token'), declaredType);
  };

  refuseRepeated(form);
  refuseForeignClientAuthentication(form, authorization);
  const asked = {
    clientId: parameter('client_id'),
    audience: readTarget(form),
    scopes: parseScope(parameter('scope')),
    additionalClaims: parseAdditionalClaims(parameter('additional_claims')),
  };

  switch (required('grant_type')) {
    case grantTypes.clientCredentials:
      return {
        ...asked,
        credential: readClient(),
        clientAssertion: undefined,
        isTokenExchange: false,
      };

    case grantTypes.jwtBearer:
      return {
        ...asked,
        credential: credential('assertion', required('assertion'), 'any'),
        clientAssertion: readOptionalClientAssertion(),
        isTokenExchange: false,
      };

    case grantTypes.tokenExchange: {
      const requested = parameter('requested_token_type');
      const requestedFormat = requested === undefined ? undefined : readFormat(requested);
      return {
        ...asked,
        credential: credential(
          'subject_token',
          required('subject_token'),
          declaredTypeOf(required('subject_token_type')),
        ),
        actorToken: readActorToken(),
        clientAssertion: readOptionalClientAssertion(),
        requestedFormat,
        isTokenExchange: true,
      };
    }

    default:
      return refuse('request.grant_type_unsupported');
  }
}

function readFormat(requested: string): RequestedFormat {
  return formatByRequestedType.get(requested) ?? refuse('request.token_type_unsupported');
}

/** RFC 6749 §3.2; `audience` and `resource` are looked at as the target. */
function refuseRepeated(form: URLSearchParams): void {
  const seen = new Set<string>();
  for (const name of form.keys()) {
    if (seen.has(name) && singleValuedNames.has(name)) refuse('request.repeated_parameter', name);
    seen.add(name);
  }
}

function declaredTypeOf(type: string): DeclaredType {
  return subjectTokenTypes.get(type) ?? refuse('request.token_type_unsupported');
}

function credential(lane: Lane, token: string, declaredType: DeclaredType): Credential {
  return { lane, token: new Secret(token), declaredType };
}

function certificateCredential(chain: readonly Uint8Array[]): Credential {
  const leaf = Buffer.from(chain[0] ?? []).toString('base64');
  return { lane: 'client_certificate', token: new Secret(leaf), declaredType: 'any', chain };
}

function readClientAssertion(assertion: string, type: string): Credential {
  const declaredType = assertionTypes.get(type) ?? refuse('request.client_assertion_type_unsupported');
  return credential('client_assertion', assertion, declaredType);
}

/** Nobody stores a client secret here, and RFC 6749 §2.3 allows one method of client authentication a request. */
function refuseForeignClientAuthentication(form: URLSearchParams, authorization: string | undefined): void {
  if (authorization === undefined && !form.has('client_secret')) return;
  const methods = [authorization, form.get('client_secret'), form.get('client_assertion')].filter(Boolean);
  if (methods.length > 1) refuse('request.two_client_authentications');
  refuse('request.client_authentication_unsupported');
}

/** RFC 8707 §2 for `resource`; RFC 8693 §2.1 lets both repeat, which would make a token for several audiences. */
function readTarget(form: URLSearchParams): string | undefined {
  const resources = form.getAll('resource').filter(Boolean);
  const targets = [...form.getAll('audience').filter(Boolean), ...resources];
  if (targets.length > 1) refuse('request.many_targets');
  for (const resource of resources) {
    if (!URL.canParse(resource) || resource.includes('#')) refuse('request.target_malformed');
  }
  return targets[0];
}
