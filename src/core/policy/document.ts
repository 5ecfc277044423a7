/** The policy documents as an admin writes them: their schema, their names and their defaults. */
import { z } from 'zod';
import type { TokenAlgorithm } from '../algorithm.ts';
import type { Json } from '../json.ts';
import type { TokenFormat } from '../token-format.ts';

export const apiVersion = 'mintmark/v1';

/** A document's name is part of SPIFFE IDs and URLs, so it is one DNS-label-like path segment. */
export const nameSchema = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/, 'a name is lower-case letters, digits, ".", "_" and "-"');

const durationUnits = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `5m`, `1h`, `30d`; seconds after parsing. */
export const durationSchema = z
  .string()
  .regex(/^[1-9][0-9]{0,6}[smhd]$/, 'a duration is a whole number and a unit: 90s, 5m, 1h, 30d')
  .transform(
    (text) => Number(text.slice(0, -1)) * durationUnits[text.slice(-1) as keyof typeof durationUnits],
  );

/** A scope-token of RFC 6749 §3.3. */
const scopeSchema = z
  .string()
  .max(256)
  .regex(
    /^[\x21\x23-\x5b\x5d-\x7e]+$/,
    'a scope is printable ASCII without space, double quote or backslash',
  );

export const metadataSchema = z.strictObject({
  name: nameSchema,
  labels: z.record(z.string().max(128), z.string().max(256)).optional(),
});

const jwksSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) });
const hostsSchema = z.array(z.string().min(1).max(253));
const audiencesSchema = z.array(z.string().min(1).max(2048)).min(1);
const claimValueSchema = z.union([z.string(), z.number(), z.boolean()]);

const keySourceSchema = z
  .strictObject({
    discovery: z.literal(true).optional(),
    jwksUri: z.string().optional(),
    jwks: jwksSchema.optional(),
    /** Beside `jwks` only: the path of the SPIFFE ID that may push these keys. */
    pushedBy: z.string().max(2048).optional(),
    asOf: z.iso.datetime({ offset: true }).optional(),
    warnAfter: durationSchema.optional(),
    tokenReview: z
      .strictObject({ url: z.string(), caCertificate: z.string().optional(), tokenFile: z.string() })
      .optional(),
    regionCertificates: z.record(z.string(), z.string()).optional(),
    allowPrivateHosts: hostsSchema.optional(),
  })
  .refine(
    (keys) =>
      [keys.discovery, keys.jwksUri, keys.jwks, keys.tokenReview, keys.regionCertificates].filter(
        (source) => source !== undefined,
      ).length === 1,
    {
      message: 'give exactly one of discovery, jwksUri, jwks, tokenReview and regionCertificates',
    },
  );

const bundleSchema = z
  .strictObject({
    url: z.string().optional(),
    profile: z.enum(['https_web', 'https_spiffe']).optional(),
    endpointSpiffeId: z.string().optional(),
    bootstrap: jwksSchema.optional(),
    workloadApi: z.string().optional(),
    static: jwksSchema.optional(),
    allowPrivateHosts: hostsSchema.optional(),
  })
  .refine(
    (bundle) =>
      [bundle.static, bundle.workloadApi, bundle.url].filter((source) => source !== undefined).length === 1 &&
      (bundle.url === undefined) === (bundle.profile === undefined),
    {
      message: 'give either url and profile, or workloadApi, or static',
    },
  );

const conditionSchema = z.string().min(1).max(2048);
const modeSchema = z.enum(['enforce', 'observe']).default('enforce');

const issuerSpecSchema = z.strictObject({
  platform: z.string(),
  issuer: z.string().min(1).max(2048),
  audiences: audiencesSchema.optional(),
  keys: keySourceSchema.default({ discovery: true }),
  subject: z.string().max(1024).optional(),
  require: z.record(z.string(), z.union([claimValueSchema, z.array(claimValueSchema).min(1)])).optional(),
  maxTokenAge: durationSchema.optional(),
  acknowledgeReplayable: z.boolean().optional(),
  replay: z.enum(['allow', 'once']).default('allow'),
  condition: conditionSchema.optional(),
  mode: modeSchema,
  auditClaims: z.array(z.string()).optional(),
});

const trustDomainSpecSchema = z.strictObject({
  bundle: bundleSchema,
  audiences: audiencesSchema.optional(),
  onStale: z.strictObject({ serveFor: durationSchema }).optional(),
  maxSvidLifetime: durationSchema.optional(),
});

const subjectSchema = z
  .strictObject({
    spiffeId: z.string().optional(),
    prefix: z.string().optional(),
    pattern: z.string().optional(),
    trustDomain: z.string().optional(),
    issuer: z.string().optional(),
  })
  .refine((subject) => Object.values(subject).filter((value) => value !== undefined).length === 1, {
    message: 'give exactly one of spiffeId, prefix, pattern, trustDomain and issuer',
  });

const resourceSpecSchema = z.strictObject({
  audience: z.string().min(1).max(2048),
  extraAudiences: z.array(z.string().min(1).max(2048)).max(8).default([]),
  scopes: z.array(scopeSchema).default([]),
  tokenLifetime: durationSchema.default(600),
  reuse: z.strictObject({ minRemaining: durationSchema }).optional(),
  signingAlg: z
    .enum(['ES256', 'RS256', 'PS256', 'ES384', 'EdDSA'] satisfies TokenAlgorithm[])
    .default('ES256'),
  tokenFormats: z
    .array(z.enum(['access_token', 'jwt-svid', 'jwt-grant'] satisfies TokenFormat[]))
    .min(1)
    .max(2)
    .default(['access_token']),
  proof: z.enum(['none', 'dpop', 'mtls']).default('none'),
  introspectors: z.array(subjectSchema).max(64).default([]),
  acknowledgeWide: z.boolean().default(false),
});

const scalarsSchema = z.union([claimValueSchema, z.array(claimValueSchema)]);

/** Not recursive: a value of bounded depth needs no bound on the work of reading it. */
const grantClaimsSchema = z.strictObject({
  set: z.record(z.string(), z.union([scalarsSchema, z.record(z.string(), scalarsSchema)])).default({}),
  copy: z.record(z.string(), z.string()).default({}),
  allowRequested: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
});

const delegationSchema = z.strictObject({
  actFor: z.array(subjectSchema).min(1, 'delegation without actFor would be for nobody: name at least one'),
  impersonate: z.boolean().default(false),
});

const grantSpecSchema = z.strictObject({
  subjects: z.array(subjectSchema).min(1, 'a grant without subjects would be for nobody: name at least one'),
  acknowledgeWide: z.boolean().default(false),
  condition: conditionSchema.optional(),
  mode: modeSchema,
  resource: z.string(),
  scopes: z.array(scopeSchema).default([]),
  defaultScopes: z.array(scopeSchema).default([]),
  maxTokenLifetime: durationSchema.optional(),
  default: z.boolean().default(false),
  claims: grantClaimsSchema.default({ set: {}, copy: {}, allowRequested: {} }),
  delegation: delegationSchema.optional(),
  notAfter: z.iso.datetime({ offset: true }).optional(),
});

const document = <K extends string, S extends z.ZodType>(kind: K, spec: S) =>
  z.strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal(kind),
    metadata: metadataSchema,
    spec,
  });

export const documentSchemas = {
  Issuer: document('Issuer', issuerSpecSchema),
  TrustDomain: document('TrustDomain', trustDomainSpecSchema),
  Resource: document('Resource', resourceSpecSchema),
  Grant: document('Grant', grantSpecSchema),
} as const;

export type Kind = keyof typeof documentSchemas;
export const kinds = Object.keys(documentSchemas) as readonly Kind[];

export type IssuerDocument = z.infer<typeof documentSchemas.Issuer>;
export type TrustDomainDocument = z.infer<typeof documentSchemas.TrustDomain>;
export type ResourceDocument = z.infer<typeof documentSchemas.Resource>;
export type GrantDocument = z.infer<typeof documentSchemas.Grant>;
export type PolicyDocument = IssuerDocument | TrustDomainDocument | ResourceDocument | GrantDocument;

/** Who may change a document: admins over REST, or only the operator's file (`MINTMARK_POLICY`). */
export type ManagedBy = 'rest' | 'file';

/** A document as it is stored: what its author wrote, unparsed, so that nothing of it is lost. */
export interface StoredDocument {
  readonly kind: Kind;
  readonly name: string;
  readonly managedBy: ManagedBy;
  readonly body: Json;
}
