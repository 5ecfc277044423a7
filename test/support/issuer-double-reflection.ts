/** The three functions of the metadata proposal that @peculiar/x509's container looks for. Import it before that package. */

const metadata = new WeakMap<object, Map<unknown, unknown>>();

Object.assign(Reflect, {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    metadata.set(target, (metadata.get(target) ?? new Map()).set(key, value));
  },
  getOwnMetadata: (key: unknown, target: object): unknown => metadata.get(target)?.get(key),
  getMetadata(key: unknown, target: object): unknown {
    for (let owner: object | null = target; owner !== null; owner = Object.getPrototypeOf(owner)) {
      const held = metadata.get(owner);
      if (held?.has(key)) return held.get(key);
    }
    return undefined;
  },
});
