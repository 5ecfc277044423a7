/** The signature beside that of the AWS SDK's own signer, over whatever may stand in a request. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { presign as presignBySdk, urlOf } from '../../test/support/sts-double.ts';
import { presign } from './sigv4.ts';

const text = fc.string({ unit: fc.constantFrom(..."azAZ09-_.~!'()*+/=&?%#:@é ".split('')), minLength: 1 });
const requests = fc.record({
  accessKeyId: fc.stringMatching(/^[A-Z0-9]{16,20}$/),
  secretAccessKey: text,
  sessionToken: fc.option(text, { nil: undefined }),
  region: fc.stringMatching(/^[a-z]{2}-[a-z]{4,9}-[0-9]$/),
  audience: fc.webUrl(),
  atMillis: fc.integer({ min: 0, max: 4_102_444_800_000 }),
  expiresIn: fc.integer({ min: 1, max: 900 }),
  extra: text,
});

describe('presign', () => {
  test("makes the SDK's signature, and every other parameter with it", async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (asked) => {
        const { accessKeyId, secretAccessKey, sessionToken, region, audience, atMillis, expiresIn } = asked;
        const credentials = {
          accessKeyId,
          secretAccessKey,
          ...(sessionToken === undefined ? {} : { sessionToken }),
        };
        const host = `sts.${region}.amazonaws.com`;
        const query = { Extra: asked.extra };
        const caller = { ...credentials, arn: '', userId: '', account: '' };
        const theirs = await presignBySdk(caller, { host, region, audience, atMillis, expiresIn, query });
        const ours = presign(credentials, {
          region,
          service: 'sts',
          headers: { host, 'x-mintmark-audience': audience },
          query: { Action: 'GetCallerIdentity', Version: '2011-06-15', ...query },
          expiresSeconds: expiresIn,
          nowMillis: atMillis,
        });
        const pairs = (url: string) => [...new URL(url).searchParams].map((pair) => pair.join(' ')).sort();
        expect(pairs(ours)).toEqual(pairs(urlOf(theirs)));
      }),
      { numRuns: 200 },
    );
  });
});
