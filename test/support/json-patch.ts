/** Carries out the `add` operations of an RFC 6902 patch, on a copy. */
export function patched<T>(
	document: T,
	patch: readonly { readonly op: string; readonly path: string; readonly value: unknown }[],
): T {
	const copy = structuredClone(document);
	for (const { op, path, value } of patch) {
		if (op !== 'add') throw new Error(`${op} is not used`);
		const keys = path.split('/').slice(1);
		const last = keys.pop() ?? '';
		let place: unknown = copy;
		for (const key of keys) place = (place as Record<string, unknown>)[key];
		if (Array.isArray(place)) place.splice(last === '-' ? place.length : Number(last), 0, structuredClone(value));
		else if (typeof place === 'object' && place !== null)
			(place as Record<string, unknown>)[last] = structuredClone(value);
		else throw new Error(`there is nothing at ${path}`);
	}
	return copy;
}
