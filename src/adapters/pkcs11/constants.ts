/** Numbers of PKCS #11 (OASIS PKCS #11 v2.40 and v3.0, `pkcs11t.h`): the few that signing needs. */

export const attribute = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  decrypt: 0x105,
  unwrap: 0x107,
  sign: 0x108,
  verify: 0x10a,
  derive: 0x10c,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  extractable: 0x162,
  local: 0x163,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;

export const objectClass = { publicKey: 2, privateKey: 3 } as const;

export const mechanism = {
  rsaKeyPairGen: 0x0000,
  rsaPkcs: 0x0001,
  rsaPkcsPss: 0x000d,
  sha256: 0x0250,
  ecKeyPairGen: 0x1040,
  ecdsa: 0x1041,
  edwardsKeyPairGen: 0x1055,
  eddsa: 0x1057,
} as const;

/** Mask generation function of PSS. */
export const mgf1Sha256 = 2;

export const sessionFlags = 0x2 | 0x4; // CKF_RW_SESSION, CKF_SERIAL_SESSION
export const osLockingOk = 0x2; // CKF_OS_LOCKING_OK
export const userType = 1; // CKU_USER

/** Return values that are told apart; any other is named by its number. */
export const returnValues = {
  CKR_HOST_MEMORY: 0x002,
  CKR_GENERAL_ERROR: 0x005,
  CKR_FUNCTION_FAILED: 0x006,
  CKR_ARGUMENTS_BAD: 0x007,
  CKR_ATTRIBUTE_READ_ONLY: 0x010,
  CKR_ATTRIBUTE_SENSITIVE: 0x011,
  CKR_ATTRIBUTE_TYPE_INVALID: 0x012,
  CKR_ATTRIBUTE_VALUE_INVALID: 0x013,
  CKR_ACTION_PROHIBITED: 0x01b,
  CKR_DEVICE_ERROR: 0x030,
  CKR_DEVICE_MEMORY: 0x031,
  CKR_DEVICE_REMOVED: 0x032,
  CKR_KEY_HANDLE_INVALID: 0x060,
  CKR_KEY_SIZE_RANGE: 0x062,
  CKR_KEY_TYPE_INCONSISTENT: 0x063,
  CKR_KEY_FUNCTION_NOT_PERMITTED: 0x068,
  CKR_MECHANISM_INVALID: 0x070,
  CKR_MECHANISM_PARAM_INVALID: 0x071,
  CKR_OBJECT_HANDLE_INVALID: 0x082,
  CKR_PIN_INCORRECT: 0x0a0,
  CKR_PIN_INVALID: 0x0a1,
  CKR_PIN_LEN_RANGE: 0x0a2,
  CKR_PIN_EXPIRED: 0x0a3,
  CKR_PIN_LOCKED: 0x0a4,
  CKR_SESSION_CLOSED: 0x0b0,
  CKR_SESSION_COUNT: 0x0b1,
  CKR_SESSION_HANDLE_INVALID: 0x0b3,
  CKR_SESSION_READ_ONLY: 0x0b5,
  CKR_TEMPLATE_INCOMPLETE: 0x0d0,
  CKR_TEMPLATE_INCONSISTENT: 0x0d1,
  CKR_TOKEN_NOT_PRESENT: 0x0e0,
  CKR_TOKEN_NOT_RECOGNIZED: 0x0e1,
  CKR_TOKEN_WRITE_PROTECTED: 0x0e2,
  CKR_USER_NOT_LOGGED_IN: 0x101,
  CKR_USER_PIN_NOT_INITIALIZED: 0x102,
  CKR_DOMAIN_PARAMS_INVALID: 0x130,
  CKR_CURVE_NOT_SUPPORTED: 0x140,
} as const;

/** What is wrong with a call rather than with the token; to open that anew would change nothing. */
export const faultsOfCalls: readonly string[] = [
  'CKR_ARGUMENTS_BAD',
  'CKR_ATTRIBUTE_READ_ONLY',
  'CKR_ATTRIBUTE_SENSITIVE',
  'CKR_ATTRIBUTE_TYPE_INVALID',
  'CKR_ATTRIBUTE_VALUE_INVALID',
  'CKR_ACTION_PROHIBITED',
  'CKR_KEY_HANDLE_INVALID',
  'CKR_KEY_SIZE_RANGE',
  'CKR_KEY_TYPE_INCONSISTENT',
  'CKR_KEY_FUNCTION_NOT_PERMITTED',
  'CKR_MECHANISM_INVALID',
  'CKR_MECHANISM_PARAM_INVALID',
  'CKR_OBJECT_HANDLE_INVALID',
  'CKR_SESSION_READ_ONLY',
  'CKR_TEMPLATE_INCOMPLETE',
  'CKR_TEMPLATE_INCONSISTENT',
  'CKR_TOKEN_WRITE_PROTECTED',
  'CKR_DOMAIN_PARAMS_INVALID',
  'CKR_CURVE_NOT_SUPPORTED',
] satisfies (keyof typeof returnValues)[];
