/** Platforms that put the token into a variable; its audience was chosen where the pipeline is configured. */
import { type ClientPlatform, oneToken } from './platform.ts';

export const gitlabCi = heldIn('gitlab-ci', 'MINTMARK_ID_TOKEN', 'GITLAB_CI');
export const circleci = heldIn('circleci', 'CIRCLE_OIDC_TOKEN_V2');
export const bitbucket = heldIn('bitbucket', 'BITBUCKET_STEP_OIDC_TOKEN');
export const terraformCloud = heldIn('terraform-cloud', 'TFC_WORKLOAD_IDENTITY_TOKEN');
export const spacelift = heldIn('spacelift', 'SPACELIFT_OIDC_TOKEN');
export const vercel = heldIn('vercel', 'VERCEL_OIDC_TOKEN');
export const modal = heldIn('modal', 'MODAL_IDENTITY_TOKEN');
/** The job's `identity { name = "mintmark", env = true }`: the default identity has no audience and no expiry. */
export const nomad = heldIn('nomad', 'NOMAD_TOKEN_mintmark');

function heldIn(platform: string, variable: string, marker?: string): ClientPlatform {
  return {
    platform,
    looksFor: marker === undefined ? variable : `${marker} and ${variable}`,
    detect: ({ environment }) =>
      Boolean(environment[variable]) && (marker === undefined || Boolean(environment[marker])),
    obtain: async ({ environment }) => oneToken(environment[variable], variable),
  };
}
