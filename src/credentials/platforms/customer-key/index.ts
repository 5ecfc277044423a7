/** A key of the customer's own, for platforms that give workloads no identity: `private_key_jwt` (RFC 7523) with uploaded keys. */
import type { Platform } from '../../../core/platform.ts';

export const customerKey: Platform = {
  name: 'customer-key',
  algorithms: ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'RS256', 'PS256'],
  defaultSubject: '/{issuer-name}/{sub}',
  maxTokenLifetimeSeconds: 300, // made for one request, by whoever sends it
  isSharedIssuer: () => false,
  tenantClaims: [],
  isOneTime: true,
  hasUploadedKeys: true,
};
