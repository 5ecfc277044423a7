/**
 * Prints the token that Azure's own client gets for the resource in its argument. A process of its own, since the library
 * remembers its source and its tokens for as long as it is loaded.
 */
import { ManagedIdentityCredential } from '@azure/identity';

const credential = new ManagedIdentityCredential({ retryOptions: { maxRetries: 0 } });
const { token } = await credential.getToken(`${process.argv[2]}/.default`);
process.stdout.write(token);
