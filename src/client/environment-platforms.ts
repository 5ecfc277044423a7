/** Platforms that put the token into a variable or a file; its audience was chosen where the pipeline is configured. */
import { ask, memberOf } from './ask.ts';
import { type ClientPlatform, oneToken, type Surroundings } from './platform.ts';

export const gitlabCi = heldIn('gitlab-ci', 'MINTMARK_ID_TOKEN', 'GITLAB_CI');
export const bitbucket = heldIn('bitbucket', 'BITBUCKET_STEP_OIDC_TOKEN');
export const terraformCloud = heldIn('terraform-cloud', 'TFC_WORKLOAD_IDENTITY_TOKEN');
export const spacelift = heldIn('spacelift', 'SPACELIFT_OIDC_TOKEN');
export const modal = heldIn('modal', 'MODAL_IDENTITY_TOKEN');

const vercelVariable = 'VERCEL_OIDC_TOKEN';

/** Its token is for Vercel's own audience, and is exchanged there for one that is for us, as `@vercel/oidc` does. */
export const vercel: ClientPlatform = {
  ...heldIn('vercel', vercelVariable),
  obtain: async (surroundings, aud) => {
    const token = oneToken(surroundings.environment[vercelVariable], vercelVariable);
    const source = "Vercel's token exchange";
    const answer = await ask(surroundings, source, {
      url: 'https://oidc.vercel.com/~token',
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ token, aud }),
    });
    return oneToken(memberOf(answer, 'token', source), source);
  },
};

const nomadVariable = 'NOMAD_TOKEN_mintmark';
const nomadFile = '$NOMAD_SECRETS_DIR/nomad_mintmark.jwt';

/** The job's `identity { name = "mintmark" }`: the default identity has no audience and no expiry. */
export const nomad: ClientPlatform = {
  platform: 'nomad',
  looksFor: `${nomadFile} or ${nomadVariable}`,
  detect: async (surroundings) =>
    Boolean(surroundings.environment[nomadVariable]) || (await nomadFileOf(surroundings)) !== undefined,
  obtain: async (surroundings) =>
    // The file first: Nomad renews it, and cannot renew a variable.
    oneToken(
      (await nomadFileOf(surroundings)) ?? surroundings.environment[nomadVariable],
      `${nomadFile} or ${nomadVariable}`,
    ),
};

async function nomadFileOf({ environment, readTextFile }: Surroundings): Promise<string | undefined> {
  const { NOMAD_SECRETS_DIR: folder } = environment;
  return folder ? readTextFile(`${folder}/nomad_mintmark.jwt`).catch(() => undefined) : undefined;
}

function heldIn(platform: string, variable: string, marker?: string): ClientPlatform {
  return {
    platform,
    looksFor: marker === undefined ? variable : `${marker} and ${variable}`,
    detect: ({ environment }) =>
      Boolean(environment[variable]) && (marker === undefined || Boolean(environment[marker])),
    obtain: async ({ environment }) => oneToken(environment[variable], variable),
  };
}
