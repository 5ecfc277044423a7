/** Each reason of the catalogue as a sentence for the person who has to mend it. */
import type { Reason } from '../core/error.ts';

export const reasonSentences: Readonly<Partial<Record<Reason, string>>> = {
  'request.malformed': 'the request could not be read',
  'request.content_type': 'the body came with a content type that the endpoint does not read',
  'request.too_large': 'the request was too large',
  'request.timeout': 'the request took too long to arrive, or its caller went away before it was whole',
  'request.query_parameters': 'parameters stood in the query string, where logs would keep them',
  'request.repeated_parameter': 'a parameter that may appear once was repeated',
  'request.missing_parameter': 'a required parameter was missing',
  'request.unknown_parameter': 'the body held a parameter that the endpoint does not know',
  'request.grant_type_unsupported': 'the grant type is not one that Mintmark supports',
  'request.many_targets': 'more than one audience or resource was asked for at once',
  'request.target_malformed': 'the resource asked for is not an absolute URI without a fragment',
  'request.scope_malformed': 'the scope is not a list of scope tokens divided by single spaces',
  'request.two_client_authentications': 'the client authenticated in two ways at once',
  'request.client_authentication_unsupported':
    'the client authenticated with a secret, which Mintmark does not keep',
  'request.client_assertion_type_unsupported': 'the client assertion type is not one that Mintmark supports',
  'request.client_id_mismatch': 'client_id names someone other than the identity that was proven',
  'request.credential_missing': 'the Authorization header held no platform token',
  'request.token_type_unsupported': 'the token type is not one that this endpoint supports',
  'request.token_type_irrevocable': 'the token that was to be revoked is not an access token',
  'request.client_assertion_missing':
    'a token of our own, or an actor token, came without a client assertion that says who sends it',
  'request.actor_is_subject': 'the actor token is the subject’s own: nobody acts for themselves',
  'request.svid_with_scope': 'a JWT-SVID was asked for with scopes, and carries none',
  'request.format_not_bound':
    'a JWT-SVID or a JWT grant was asked for with a DPoP proof, and is bound to no key',
  'request.certificate_header_untrusted':
    'a client certificate’s header came from an address that is none of the trusted proxies',
  'request.certificate_header_repeated': 'a header with a client certificate was there more than once',
  'request.certificate_header_malformed':
    'the header with the client certificate is not as the configured proxy writes it',
  'request.certificate_header_unverified': 'the proxy says that it could not verify the client certificate',
  'request.claim_not_allowed': 'no grant that applies lets the caller add a claim that it asks for',
  'request.claim_invalid':
    'a claim that the caller asks for does not fit the schema of a grant that names it',
  'request.claim_conflict': 'the caller asks for another value of a claim than the one that the grants give',
  'request.claims_too_large':
    'with the claims that the caller asks for, more would be added than a token may carry',

  'credential.malformed': 'the credential is not a well-formed token',
  'credential.type_mismatch': 'the credential is not of the type that the request declared',
  'credential.header_refused': 'the credential’s header holds a parameter that is never trusted',
  'credential.algorithm_refused':
    'the credential is signed with an algorithm that is not allowed for its issuer',
  'credential.type_refused': 'the credential’s header says that it is not a token of this kind',
  'credential.unknown_issuer': 'no Issuer document has the credential’s issuer',
  'credential.unknown_trust_domain': 'no TrustDomain document has the SVID’s trust domain',
  'credential.ambiguous_issuer': 'more than one Issuer document vouches for the credential',
  'credential.key_unknown': 'the issuer publishes no key with the credential’s key id',
  'credential.signature_invalid': 'the credential’s signature does not verify with the issuer’s key',
  'credential.claim_missing': 'the credential lacks a claim that it must have',
  'credential.claim_malformed': 'a claim of the credential does not have the form that it must have',
  'credential.expired': 'the credential has expired',
  'credential.not_yet_valid': 'the credential is not valid yet',
  'credential.issued_in_future': 'the credential says that it was issued in the future: compare the clocks',
  'credential.too_old': 'the credential was issued longer ago than its Issuer document allows',
  'credential.lifetime_too_long': 'the credential lives longer than a genuine token of its platform does',
  'credential.audience_mismatch': 'the credential was made for another audience',
  'credential.audience_not_sole': 'the credential has other audiences besides ours',
  'credential.requirement_unmet': 'a claim does not have the value that the Issuer document requires',
  'credential.condition_unmet': 'the Issuer document’s condition does not hold for the credential’s claims',
  'credential.platform_refused': 'the credential does not hold what its platform’s tokens hold',
  'credential.subject_unmappable':
    'the claims give no legal SPIFFE ID by the Issuer document’s subject template',
  'credential.spiffe_id_invalid': 'the credential’s subject is not a legal SPIFFE ID',
  'credential.replayed': 'the credential may be used once, and was used before',
  'credential.certificate_malformed': 'a certificate of the chain cannot be read',
  'credential.certificate_uri_count': 'the client certificate does not have exactly one URI as its name',
  'credential.certificate_chain_too_long':
    'the client certificate came with more intermediates than are looked at',
  'credential.certificate_untrusted':
    'no root in the bundle of the certificate’s own trust domain vouches for it',
  'credential.certificate_signature_invalid': 'a certificate was not signed by the authority that it names',
  'credential.certificate_algorithm_refused':
    'a certificate has a key or a signature of a kind that is not accepted',
  'credential.certificate_expired': 'the client certificate, or one that vouches for it, has expired',
  'credential.certificate_not_yet_valid':
    'the client certificate, or one that vouches for it, is not valid yet',
  'credential.certificate_not_leaf': 'the client certificate is an authority’s, not a workload’s',
  'credential.certificate_key_usage':
    'the client certificate may not be used to sign, which a workload’s must',
  'credential.certificate_extended_key_usage': 'the certificate is not meant for clients',
  'credential.certificate_signer_refused': 'a certificate was issued by one that is not an authority',
  'credential.certificate_path_length': 'more authorities stand in a row than one of them allows',
  'credential.certificate_extension_refused':
    'a certificate holds an extension that must not be passed over and is not understood',
  'credential.keys_unavailable': 'the issuer’s keys could not be fetched',
  'credential.platform_unavailable': 'the platform that vouches for the credential could not be asked',

  'policy.delegation_not_permitted':
    'client and subject are not the same identity, and no grant permits that',
  'policy.actor_not_permitted': 'the subject token’s may_act does not name who acts',
  'policy.actor_chain_too_long': 'more actors stand behind one another than a token may name',
  'policy.scope_beyond_subject': 'a scope was asked for that the subject token does not hold itself',
  'policy.issuer_observed':
    'the Issuer document is only observed (mode: observe): its tokens are recorded and refused',
  'policy.token_not_own': 'a workload may revoke its own tokens only, and this one is for another',
  'policy.identity_revoked':
    'the identity, or who vouches for it, is revoked: `mintmark revocations list` says until when',
  'policy.unknown_resource': 'no Resource document has the audience that was asked for',
  'policy.no_grant': 'no grant on that resource is for this identity',
  'policy.no_default_target': 'no target was named, and the identity’s grants do not name one default',
  'policy.token_format_not_permitted': 'the Resource’s tokenFormats do not hold the format asked for',
  'policy.svid_for_another':
    'a JWT-SVID was asked for with a subject token of somebody else or of our own, and is only for the caller itself',
  'policy.foreign_trust_domain':
    'a JWT-SVID was asked for by a workload of another trust domain, which must be given it there',
  'policy.scope_not_permitted': 'a scope was asked for that no grant permits',
  'policy.dpop_required': 'the Resource document demands a DPoP proof (proof: dpop), and none was sent',
  'policy.certificate_required':
    'the Resource document demands a client certificate (proof: mtls), and none in force was shown, or a DPoP proof besides',
  'policy.claims_conflict':
    'the grants that apply give one claim different values, or copy one that is ambiguous',
  'policy.claims_too_large': 'the claims that the grants add are larger than a token may carry',
  'policy.unavailable': 'the policy has not been loaded yet',

  'admin.token_missing': 'the request carried no admin token',
  'admin.token_refused': 'the admin token was wrong, or admin tokens are switched off',
  'token.malformed':
    'the token that was to be ours looks like a JWT and cannot be read as one, or lacks a claim',
  'token.type_mismatch': 'the token that was to be ours is not an access token, but a token of another type',
  'token.key_unknown':
    'the token that was to be ours names no key that this server publishes, or not that key’s algorithm',
  'token.signature_invalid': 'the token that was to be ours is not signed with the key that it names',
  'token.issuer_mismatch': 'the token that was to be ours is another issuer’s',
  'token.audience_mismatch': 'the token was minted for another resource than the one that it was sent to',
  'token.expired': 'the token is over, or not valid yet',
  'token.binding_scheme':
    'the token is bound to a key and was sent as a plain bearer token, or the other way round',
  'token.binding_missing': 'the token is bound to a key or a certificate, and none was shown with it',
  'token.binding_mismatch': 'the token is bound to another key or certificate than the one that was shown',
  'token.scope_missing': 'the token lacks a scope that the endpoint, or the proxy’s configuration, asks for',
  'token.missing': 'no access token was sent',
  'dpop.request_unknown':
    'no trusted proxy says for which method and URL the proof must be, or it says two things: see docs/forward-auth.md',
  'dpop.proof_missing': 'the token came as a DPoP token, without a DPoP proof',
  'dpop.malformed': 'the DPoP proof cannot be read as a signed JWT, is too long, or came more than once',
  'dpop.type_mismatch': 'the DPoP proof’s header says that it is a token of another kind',
  'dpop.algorithm_refused': 'the DPoP proof is signed with an algorithm that is not allowed for its key',
  'dpop.key_refused': 'the DPoP proof holds no fit public key, or a private one',
  'dpop.signature_invalid': 'the DPoP proof is not signed with the key that it holds',
  'dpop.id_refused': 'the DPoP proof’s jti is missing or too long',
  'dpop.method_mismatch': 'the DPoP proof was made for another HTTP method',
  'dpop.url_mismatch': 'the DPoP proof was made for another URL: it must name the public one of this server',
  'dpop.not_fresh': 'the DPoP proof was made too long ago or in the future: compare the clocks',
  'dpop.token_mismatch': 'the DPoP proof was not made for the access token that came with it',
  'dpop.replayed': 'the DPoP proof was used before',
  'dpop.nonce_missing':
    'the DPoP proof held no nonce yet; the caller was given one, and should have tried again',
  'dpop.nonce_refused':
    'the DPoP proof’s nonce is not one of the last minutes’; the caller was given another',
  'token.revoked':
    'the token is revoked: itself, its identity, who vouches for it, or the key that signed it',
  'token.proof_missing': 'the token is bound to a key, and nothing shows that the caller holds it',
  'admin.grant_missing': 'the policy in force no longer makes an admin of whom the token was minted for',
  'admin.scope_missing': 'the admin token lacks a scope',
  'admin.pusher_not_named': 'the Issuer document does not name the caller in keys.pushedBy',
  'admin.not_found': 'there was nothing at that address',
  'admin.managed_by_file': 'the change touched documents that only the operator’s file may change',
  'admin.document_in_use': 'other documents refer to the document that was to be deleted',
  'admin.revision_conflict': 'the policy had changed since the revision that the change was made on',
  'admin.policy_refused': 'the policy has mistakes, so nothing was changed',
  'admin.keys_conflict': 'others had changed the signing keys meanwhile, so nothing was changed',

  'server.rate_limited': 'the address had caused too many refusals',
  'server.overloaded': 'the server had too much to do',
  'server.draining': 'the server was shutting down',
  'server.audit_unavailable': 'the audit could not be written or read, so nothing was released',
  'server.replay_guard_unavailable': 'it could not be known whether the credential had been used before',
  'server.revocations_unavailable': 'the revocation could not be made durable, so it was not made',
  'server.revocations_full':
    'as many tokens or names are revoked as are kept: revoke the identity or the issuer in place of single tokens',
  'server.signer_unavailable': 'no signature could be made',
  'server.key_store_unavailable': 'the signing keys could not be read or changed in their store',
  'server.unexpected': 'something failed that should not: see the server’s log for this request id',
};

/** The sentence of a reason, or the reason itself where this version does not know it. */
export function sentenceOf(reason: string): string {
  return Object.hasOwn(reasonSentences, reason) ? (reasonSentences[reason as Reason] ?? reason) : reason;
}
