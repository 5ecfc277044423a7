/** A SPIFFE ID in a query. */
import { z } from 'zod';
import { parseSpiffeId } from '../../core/spiffe-id.ts';

export const spiffeIdSchema = z
  .string()
  .refine((text) => parseSpiffeId(text) !== undefined, 'must be a SPIFFE ID');
