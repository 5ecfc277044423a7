/** What every refused attack has in common: our reason for the admin, the RFC's word for the caller, and no secret anywhere. */
import type { LightMyRequestResponse } from 'fastify';
import { expect } from 'vitest';
import type { TestHouse } from '../../support/house.ts';

export interface Refusal {
  readonly status: number;
  readonly error: string;
  readonly reason: string;
}

/** Asserts the public answer and the event behind its `request_id`, which it returns; none of `secrets` may be in either. */
export async function expectRefused(
  house: TestHouse,
  response: LightMyRequestResponse,
  { status, error, reason }: Refusal,
  secrets: readonly string[] = [],
): Promise<Record<string, unknown>> {
  const body = response.json();
  expect({ status: response.statusCode, error: body.error }).toEqual({ status, error });
  expect(Object.keys(body).sort()).toEqual(['error', 'error_description', 'error_uri', 'request_id']);
  const event = await house.eventOf(body.request_id);
  expect(event).toMatchObject({ reason, error_code: error });
  expectNoSecret([response.body, JSON.stringify(event), house.log()], secrets);
  return event;
}

function expectNoSecret(texts: readonly string[], secrets: readonly string[]): void {
  for (const secret of secrets) {
    expect(texts.findIndex((text) => text.includes(secret))).toBe(-1);
  }
}
