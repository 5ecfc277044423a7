/** RFC 9449’s own examples, as printed: the proofs of a token request and of a request to a resource, by one key. */
import { expect, it } from 'vitest';
import { createVerifyDpop } from '../../../src/credentials/dpop.ts';

const header =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
const tokenRequest = [
  header,
  'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ',
  '2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
].join('.');

const resourceRequest = [
  header,
  'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9',
  '2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
].join('.');
const accessToken = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
const thumbprint = { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' };

const verify = createVerifyDpop({ replayGuard: { claim: async () => true } });

it('names the key as the RFC does, at the token endpoint', async () => {
  const shown = { proof: tokenRequest, method: 'POST', url: 'https://server.example.com/token' };
  await expect(verify(shown, 1_562_262_616_000)).resolves.toEqual(thumbprint);
});

it('names it so at a resource, and knows the token that it was made for', async () => {
  const url = 'https://resource.example.org/protectedresource';
  const shown = { proof: resourceRequest, method: 'GET', url, accessToken };
  await expect(verify(shown, 1_562_262_618_000)).resolves.toEqual(thumbprint);
  await expect(verify({ ...shown, accessToken: `${accessToken}x` }, 1_562_262_618_000)).rejects.toMatchObject(
    {
      reason: 'dpop.token_mismatch',
    },
  );
});
