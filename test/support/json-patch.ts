/** Carries out the `add` and `move` operations of an RFC 6902 patch, on a copy. */
export function patched<T>(
	document: T,
	patch: readonly { readonly op: string; readonly path: string; readonly value?: unknown; readonly from?: string }[],
): T {
	const copy = structuredClone(document);
	const place = (pointer: string): readonly [unknown, string] => {
		const keys = pointer.split('/').slice(1);
		const last = keys.pop() ?? '';
		let found: unknown = copy;
		for (const key of keys) found = (found as Record<string, unknown>)[key];
		return [found, last];
	};
	const taken = (pointer: string): unknown => {
		const [from, at] = place(pointer);
		if (!Array.isArray(from) || !(Number(at) < from.length)) throw new Error(`there is nothing at ${pointer}`);
		return from.splice(Number(at), 1)[0];
	};
	for (const { op, path, value, from = '' } of patch) {
		if (op !== 'add' && op !== 'move') throw new Error(`${op} is not used`);
		const item = op === 'move' ? taken(from) : structuredClone(value);
		const [to, last] = place(path);
		if (Array.isArray(to)) to.splice(last === '-' ? to.length : Number(last), 0, item);
		else if (typeof to === 'object' && to !== null) (to as Record<string, unknown>)[last] = item;
		else throw new Error(`there is nothing at ${path}`);
	}
	return copy;
}
