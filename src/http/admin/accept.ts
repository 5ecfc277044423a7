/** Which of the forms of an answer its caller asks for. */

/** Whether an `Accept` header names this type, and not after JSON. */
export function prefersToJson(accept: string | undefined, type: string): boolean {
  const types = (accept ?? '').split(',').map((part) => part.split(';', 1)[0]?.trim().toLowerCase());
  const [at, json] = [types.indexOf(type), types.indexOf('application/json')];
  return at !== -1 && (json === -1 || at < json);
}
