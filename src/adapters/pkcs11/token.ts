/** What is asked of a token, in the process that holds it as in the one that asks; every message between them is one of these. */
import type { TokenAlgorithm } from '../../core/algorithm.ts';

export interface TokenSettings {
  /** The vendor's library, an absolute path. */
  readonly module: string;
  readonly tokenLabel: string;
  readonly pinFile: string;
  /** How many sessions are open, and so how many signatures are made at once. */
  readonly sessions: number;
}

/** A key pair in the token: both halves bear this label and this id (CKA_LABEL, CKA_ID). */
export interface KeyName {
  readonly label: string;
  readonly id: string;
}

export interface Token {
  /** Makes a key pair whose private half cannot be read out. */
  make(key: KeyName & { readonly algorithm: TokenAlgorithm }): Promise<void>;
  /** The members of its JWK that RFC 7638 §3.2 hashes, in their order. */
  publicMembers(
    key: KeyName & { readonly algorithm: TokenAlgorithm },
  ): Promise<Readonly<Record<string, string>>>;
  /** The signature as JWS has it (RFC 7518 §3). */
  sign(
    order: KeyName & { readonly algorithm: TokenAlgorithm; readonly input: Uint8Array },
  ): Promise<Uint8Array>;
  /** The ids of all keys of this label. */
  ids(label: { readonly label: string }): Promise<readonly string[]>;
  /** Destroys both halves. */
  destroy(key: KeyName): Promise<void>;
}

/**
 * `refused`: the token does not let us in, for this PIN, which must not be tried again. `unsupported`: it makes no
 * such keys. `unfit`: not with this key. `missing`: it has no such key. `lost`: anything else, and the connection is to be made anew.
 */
export type TokenProblem = 'refused' | 'unsupported' | 'unfit' | 'missing' | 'lost';

export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly problem: TokenProblem;

  constructor(problem: TokenProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

export type TokenCall = {
  [Name in keyof Token]: { readonly call: Name; readonly argument: Parameters<Token[Name]>[0] };
}[keyof Token];

export type TokenRequest = (TokenCall | { readonly call: 'open'; readonly argument: TokenSettings }) & {
  readonly number: number;
};

export type TokenAnswer =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly problem: TokenProblem; readonly message: string };
