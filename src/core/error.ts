/** The one catalogue of refusals: a stable `reason` for the operator, an RFC error code and a fixed sentence for the client. */

/** Error codes of RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2, RFC 6750 §3.1, RFC 7009 §2.2.1 and RFC 9449 §5. */
export type OAuthCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_token'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_token_type'
  | 'server_error'
  | 'temporarily_unavailable';

/** How a credential reached us; it decides only which error code a bad credential gets. */
export type Lane =
  | 'client_assertion'
  | 'assertion'
  | 'subject_token'
  | 'actor_token'
  | 'bearer'
  | 'client_certificate';

interface Entry {
  /** The RFC's word; `by-lane` where the RFC names it after the way the credential came in. */
  readonly code: OAuthCode | 'by-lane';
  /** What the client reads instead of the code's own sentence. Never holds a value from a request, policy or cause. */
  readonly sentence?: string;
}

const claimSentence = 'The request asks for a claim, or for a value of one, that is not accepted.';
const formatSentence = 'A token of the requested type cannot be given for this request.';

export const reasons = {
  'request.malformed': { code: 'invalid_request' },
  'request.content_type': {
    code: 'invalid_request',
    sentence: 'The content type is not the one that this endpoint reads.',
  },
  'request.too_large': { code: 'invalid_request', sentence: 'The request is too large.' },
  'request.timeout': { code: 'invalid_request', sentence: 'The request took too long to arrive.' },
  'request.query_parameters': {
    code: 'invalid_request',
    sentence: 'Parameters belong in the request body; the query string must be empty.',
  },
  'request.repeated_parameter': {
    code: 'invalid_request',
    sentence: 'A parameter that may appear once was repeated.',
  },
  'request.missing_parameter': { code: 'invalid_request', sentence: 'A required parameter is missing.' },
  'request.unknown_parameter': {
    code: 'invalid_request',
    sentence: 'The request holds a parameter that this endpoint does not know.',
  },
  'request.grant_type_unsupported': { code: 'unsupported_grant_type' },
  'request.many_targets': {
    code: 'invalid_target',
    sentence: 'A request names exactly one target, by audience or by resource.',
  },
  'request.target_malformed': { code: 'invalid_target' },
  'request.scope_malformed': { code: 'invalid_scope' },
  'request.two_client_authentications': {
    code: 'invalid_request',
    sentence: 'A request carries at most one method of client authentication.',
  },
  'request.client_authentication_unsupported': { code: 'invalid_client' },
  'request.client_assertion_type_unsupported': { code: 'invalid_client' },
  'request.client_id_mismatch': { code: 'invalid_client' },
  'request.credential_missing': {
    code: 'invalid_token',
    sentence: 'The Authorization header must hold the platform token.',
  },
  'request.token_type_unsupported': {
    code: 'invalid_request',
    sentence: 'The token type is not one that this endpoint supports.',
  },
  'request.token_type_irrevocable': { code: 'unsupported_token_type' },
  'request.client_assertion_missing': { code: 'invalid_client' },
  'request.actor_is_subject': { code: 'invalid_request' },
  'request.svid_with_scope': {
    code: 'invalid_scope',
    sentence: 'A JWT-SVID carries no scope; ask for it without one.',
  },
  'request.format_not_bound': {
    code: 'invalid_request',
    sentence: 'A token of this format is bound to no key; ask for it without a DPoP proof.',
  },
  'request.certificate_header_untrusted': {
    code: 'invalid_request',
    sentence: 'A header that says what certificate a client has is accepted from trusted proxies only.',
  },
  'request.certificate_header_repeated': { code: 'invalid_request' },
  'request.certificate_header_malformed': { code: 'invalid_request' },
  'request.certificate_header_unverified': { code: 'invalid_client' },
  // One sentence for three, so that nobody finds out which claims a policy knows.
  'request.claim_not_allowed': { code: 'invalid_request', sentence: claimSentence },
  'request.claim_invalid': { code: 'invalid_request', sentence: claimSentence },
  'request.claim_conflict': { code: 'invalid_request', sentence: claimSentence },
  'request.claims_too_large': {
    code: 'invalid_request',
    sentence: 'The claims that the request asks for are too large.',
  },

  'credential.malformed': { code: 'by-lane' },
  'credential.type_mismatch': { code: 'by-lane' },
  'credential.header_refused': { code: 'by-lane' },
  'credential.algorithm_refused': { code: 'by-lane' },
  'credential.type_refused': { code: 'by-lane' },
  'credential.unknown_issuer': { code: 'by-lane' },
  'credential.unknown_trust_domain': { code: 'by-lane' },
  'credential.ambiguous_issuer': { code: 'by-lane' },
  'credential.key_unknown': { code: 'by-lane' },
  'credential.signature_invalid': { code: 'by-lane' },
  'credential.claim_missing': { code: 'by-lane' },
  'credential.claim_malformed': { code: 'by-lane' },
  'credential.expired': { code: 'by-lane' },
  'credential.not_yet_valid': { code: 'by-lane' },
  'credential.issued_in_future': { code: 'by-lane' },
  'credential.too_old': { code: 'by-lane' },
  'credential.lifetime_too_long': { code: 'by-lane' },
  'credential.audience_mismatch': { code: 'by-lane' },
  'credential.audience_not_sole': { code: 'by-lane' },
  'credential.requirement_unmet': { code: 'by-lane' },
  'credential.condition_unmet': { code: 'by-lane' },
  'credential.platform_refused': { code: 'by-lane' },
  'credential.subject_unmappable': { code: 'by-lane' },
  'credential.spiffe_id_invalid': { code: 'by-lane' },
  'credential.replayed': { code: 'by-lane' },
  'credential.certificate_malformed': { code: 'by-lane' },
  'credential.certificate_uri_count': { code: 'by-lane' },
  'credential.certificate_chain_too_long': { code: 'by-lane' },
  'credential.certificate_untrusted': { code: 'by-lane' },
  'credential.certificate_signature_invalid': { code: 'by-lane' },
  'credential.certificate_algorithm_refused': { code: 'by-lane' },
  'credential.certificate_expired': { code: 'by-lane' },
  'credential.certificate_not_yet_valid': { code: 'by-lane' },
  'credential.certificate_not_leaf': { code: 'by-lane' },
  'credential.certificate_key_usage': { code: 'by-lane' },
  'credential.certificate_extended_key_usage': { code: 'by-lane' },
  'credential.certificate_signer_refused': { code: 'by-lane' },
  'credential.certificate_path_length': { code: 'by-lane' },
  'credential.certificate_extension_refused': { code: 'by-lane' },
  'credential.keys_unavailable': { code: 'temporarily_unavailable' },
  'credential.platform_unavailable': { code: 'temporarily_unavailable' },

  'policy.delegation_not_permitted': { code: 'unauthorized_client' },
  'policy.actor_not_permitted': { code: 'unauthorized_client' },
  'policy.actor_chain_too_long': { code: 'invalid_request' },
  'policy.scope_beyond_subject': { code: 'invalid_scope' },
  'policy.issuer_observed': { code: 'unauthorized_client' },
  'policy.identity_revoked': { code: 'unauthorized_client' },
  'policy.token_not_own': {
    code: 'unauthorized_client',
    sentence: 'A client may revoke tokens of its own alone.',
  },
  'policy.unknown_resource': { code: 'invalid_target' },
  'policy.no_grant': { code: 'invalid_target' },
  'policy.no_default_target': {
    code: 'invalid_target',
    sentence: 'The request names no target, and there is not exactly one default for this caller.',
  },
  'policy.scope_not_permitted': { code: 'invalid_scope' },
  // RFC 8693 §2.2.2.
  'policy.token_format_not_permitted': { code: 'invalid_request', sentence: formatSentence },
  'policy.svid_for_another': { code: 'invalid_request', sentence: formatSentence },
  'policy.foreign_trust_domain': { code: 'invalid_request', sentence: formatSentence },
  'policy.dpop_required': {
    code: 'invalid_dpop_proof',
    sentence: 'The target takes only tokens that are bound to a key: send a DPoP proof.',
  },
  'policy.certificate_required': {
    code: 'invalid_request',
    sentence:
      'The target takes only tokens that are bound to a client certificate: show one, and no DPoP proof.',
  },
  // What the policy adds is the policy's fault, not the caller's.
  'policy.claims_conflict': { code: 'server_error' },
  'policy.claims_too_large': { code: 'server_error' },
  'policy.unavailable': { code: 'temporarily_unavailable' },

  'admin.token_missing': { code: 'invalid_token' },
  'admin.token_refused': { code: 'invalid_token' },
  'token.malformed': { code: 'invalid_token' },
  'token.type_mismatch': { code: 'invalid_token' },
  'token.key_unknown': { code: 'invalid_token' },
  'token.signature_invalid': { code: 'invalid_token' },
  'token.issuer_mismatch': { code: 'invalid_token' },
  'token.audience_mismatch': { code: 'invalid_token' },
  'token.expired': { code: 'invalid_token' },
  'token.scope_missing': { code: 'invalid_token' },
  'token.binding_scheme': { code: 'invalid_token' },
  'token.binding_missing': { code: 'invalid_token' },
  'token.binding_mismatch': { code: 'invalid_token' },
  'dpop.request_unknown': { code: 'invalid_dpop_proof' },
  'dpop.proof_missing': { code: 'invalid_dpop_proof' },
  'dpop.malformed': { code: 'invalid_dpop_proof' },
  'dpop.type_mismatch': { code: 'invalid_dpop_proof' },
  'dpop.algorithm_refused': { code: 'invalid_dpop_proof' },
  'dpop.key_refused': { code: 'invalid_dpop_proof' },
  'dpop.signature_invalid': { code: 'invalid_dpop_proof' },
  'dpop.id_refused': { code: 'invalid_dpop_proof' },
  'dpop.method_mismatch': { code: 'invalid_dpop_proof' },
  'dpop.url_mismatch': { code: 'invalid_dpop_proof' },
  'dpop.not_fresh': { code: 'invalid_dpop_proof' },
  'dpop.token_mismatch': { code: 'invalid_dpop_proof' },
  'dpop.replayed': { code: 'invalid_dpop_proof' },
  'dpop.nonce_missing': { code: 'use_dpop_nonce' },
  'dpop.nonce_refused': { code: 'use_dpop_nonce' },
  'token.revoked': { code: 'invalid_token' },
  'token.missing': {
    code: 'invalid_token',
    sentence: 'The Authorization header must hold an access token of this issuer.',
  },
  'token.proof_missing': { code: 'invalid_token' },
  'admin.grant_missing': { code: 'invalid_token' },
  'admin.scope_missing': { code: 'invalid_token' },
  'admin.pusher_not_named': { code: 'invalid_token' },
  'admin.not_found': { code: 'invalid_request' },
  'admin.managed_by_file': { code: 'invalid_request' },
  'admin.document_in_use': { code: 'invalid_request' },
  'admin.revision_conflict': { code: 'invalid_request' },
  'admin.policy_refused': { code: 'invalid_request' },
  'admin.keys_conflict': { code: 'invalid_request' },

  'server.rate_limited': {
    code: 'temporarily_unavailable',
    sentence: 'Too many refused requests from this address; try again later.',
  },
  'server.overloaded': { code: 'temporarily_unavailable' },
  'server.draining': { code: 'temporarily_unavailable' },
  'server.audit_unavailable': { code: 'temporarily_unavailable' },
  'server.replay_guard_unavailable': { code: 'temporarily_unavailable' },
  'server.revocations_unavailable': { code: 'temporarily_unavailable' },
  'server.revocations_full': { code: 'temporarily_unavailable' },
  'server.signer_unavailable': { code: 'temporarily_unavailable' },
  'server.key_store_unavailable': { code: 'temporarily_unavailable' },
  'server.unexpected': { code: 'server_error' },
} as const satisfies Record<string, Entry>;

export type Reason = keyof typeof reasons;

/** What the client reads for each code, unless the reason has a sentence of its own. */
export const sentences: Record<OAuthCode, string> = {
  invalid_request:
    'The request is missing something, repeats something, or holds a value that is not accepted.',
  invalid_client: 'Client authentication failed.',
  invalid_grant: 'The assertion was not accepted.',
  invalid_scope: 'The requested scope is malformed or not permitted.',
  invalid_target: 'The requested target is unknown, malformed or not permitted.',
  invalid_token: 'The platform token was not accepted.',
  invalid_dpop_proof: 'The DPoP proof is missing or was not accepted.',
  use_dpop_nonce: 'The DPoP proof must hold the nonce of the DPoP-Nonce header.',
  unauthorized_client: 'This client may not make this request.',
  unsupported_grant_type: 'The grant type is not supported.',
  unsupported_token_type: 'Tokens of this type cannot be revoked.',
  server_error: 'The request could not be completed.',
  temporarily_unavailable: 'The service cannot answer right now; try again shortly.',
};

const codeByLane: Record<Lane, OAuthCode> = {
  client_assertion: 'invalid_client', // RFC 7521 §4.2.1
  assertion: 'invalid_grant', // RFC 7521 §4.1.1
  subject_token: 'invalid_request', // RFC 8693 §2.2.2
  actor_token: 'invalid_request',
  bearer: 'invalid_token', // RFC 6750 §3.1
  client_certificate: 'invalid_client', // RFC 8705 §2
};

/**
 * A refusal. The client sees `code` and `sentence`, the operator `reason`, `detail` and the cause chain.
 * `detail` may name claims and policy, never a token or a key.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly reason: Reason;
  readonly detail: string | undefined;
  readonly lane: Lane | undefined;

  constructor(reason: Reason, options: { detail?: string; cause?: unknown; lane?: Lane | undefined } = {}) {
    super(options.detail === undefined ? reason : `${reason}: ${options.detail}`, { cause: options.cause });
    this.reason = reason;
    this.detail = options.detail;
    this.lane = options.lane;
  }

  get code(): OAuthCode {
    const { code } = reasons[this.reason];
    // A token of ours is a subject token like any other, where it came as one.
    const isByLane = code === 'by-lane' || (code === 'invalid_token' && this.lane === 'subject_token');
    return isByLane ? codeByLane[this.lane ?? 'subject_token'] : code;
  }

  /** Whether the caller did nothing wrong. */
  get isOurFault(): boolean {
    return this.code === 'server_error' || this.code === 'temporarily_unavailable';
  }

  get sentence(): string {
    const entry: Entry = reasons[this.reason];
    return entry.sentence ?? sentences[this.code];
  }

  /** The same refusal, knowing the lane on which it happened. An unknown error becomes `server.unexpected`: fail closed. */
  static from(error: unknown, lane?: Lane): OAuthError {
    if (!(error instanceof OAuthError)) return new OAuthError('server.unexpected', { cause: error, lane });
    if (error.lane !== undefined || lane === undefined) return error;
    return new OAuthError(error.reason, {
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      cause: error.cause ?? error,
      lane,
    });
  }
}

/** Shorthand for `throw new OAuthError(…)` where an expression is wanted. */
export function refuse(reason: Reason, detail?: string, cause?: unknown): never {
  throw new OAuthError(reason, { ...(detail === undefined ? {} : { detail }), cause });
}
