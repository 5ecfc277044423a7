/** The platforms whose own client, from npm, has its token exchanged in a test; `npm run figures` prints it. */
export const realClients = {
  'aws-caller-identity': '@aws-sdk/credential-providers',
  'aws-web-identity': '@aws-sdk/client-sts',
  azure: '@azure/identity',
  'github-actions': '@actions/core',
  google: 'google-auth-library',
  kubernetes: '@kubernetes/client-node',
  vercel: '@vercel/oidc',
} as const;
