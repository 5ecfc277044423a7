/** What an Issuer document must say where certificates of a cloud's regions verify its credentials, and what they must be. */
import { X509Certificate } from 'node:crypto';
import type { Platform } from '../platform.ts';
import type { IssuerDocument } from './document.ts';
import type { FieldProblem } from './schema-sentences.ts';

const minModulusBits = 2048;

export function regionCertificateProblems(
  spec: IssuerDocument['spec'],
  platform: Platform | undefined,
): FieldProblem[] {
  if (platform === undefined) return [];
  const { proof } = platform;
  const certificates = spec.keys.regionCertificates;
  const path = ['keys', 'regionCertificates'];
  const problems: FieldProblem[] = [];
  if (proof?.replayable === undefined && spec.acknowledgeReplayable !== undefined) {
    const message = `does not apply to ${platform.name}: leave it out`;
    problems.push({ path: ['acknowledgeReplayable'], message });
  }
  if (proof?.replayable !== undefined && spec.acknowledgeReplayable !== true) {
    problems.push({ path: ['acknowledgeReplayable'], message: `must be true: ${proof.replayable}` });
  }
  if (proof?.regionCertificates === undefined) {
    if (certificates !== undefined) {
      problems.push({ path, message: `does not apply to ${platform.name}: leave it out` });
    }
    return problems;
  }
  const { maxAgeSeconds } = proof.regionCertificates;
  if (spec.maxTokenAge !== undefined && spec.maxTokenAge > maxAgeSeconds) {
    problems.push({ path: ['maxTokenAge'], message: `must be at most ${maxAgeSeconds}s` });
  }
  const entries = Object.entries(certificates ?? {});
  if (entries.length === 0) {
    problems.push({ path, message: 'must hold the certificate (PEM) of at least one region, by its name' });
  }
  for (const [region, pem] of entries) {
    const message = /^[a-z]{2,8}(-[a-z]+)+-\d{1,2}$/.test(region)
      ? certificateProblem(pem)
      : 'is not the name of a region, such as us-west-2';
    if (message !== undefined) problems.push({ path: [...path, region], message });
  }
  return problems;
}

/** The certificate only carries its key, which the document pins: it is no link of a chain, and its dates do not count. */
function certificateProblem(pem: string): string | undefined {
  if (pem.match(/-----BEGIN /g)?.length !== 1) return 'must be exactly one certificate in PEM';
  let key: X509Certificate['publicKey'];
  try {
    key = new X509Certificate(pem).publicKey;
  } catch {
    return 'must be exactly one certificate in PEM';
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits < minModulusBits) {
    return `must have an RSA key of at least ${minModulusBits} bits: take the region’s RSA-2048 certificate`;
  }
  return undefined;
}
