const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 0x7b;
const ARRAY = 0x5b;
const OBJECT_END = 0x7d;
const ARRAY_END = 0x5d;
const COLON = 0x3a;
const SPACE: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];
/** A longer key is none that anybody asks for. */
const LONGEST_KEY = 1024;

/**
 * Whether an object in JSON has a member of this name at its top, wherever it stands and however it is escaped. Looks at the
 * bytes only, so it takes no memory for what a large text holds; undefined when the text is no object. What else is wrong
 * with it whoever reads it whole has to find.
 */
export function hasMember(bytes: Uint8Array, name: string): boolean | undefined {
	let at = 0;
	while (SPACE.includes(bytes[at] ?? 0)) at++;
	if (bytes[at] !== OBJECT) return undefined;
	let depth = 0;
	let found = false;
	for (; at < bytes.length; at++) {
		const byte = bytes[at] as number;
		if (byte === QUOTE) {
			const end = endOfText(bytes, at);
			if (end === undefined) return undefined;
			if (depth === 1 && !found && isKey(bytes, end)) found = textOf(bytes, at, end) === name;
			at = end;
		} else if (byte === OBJECT || byte === ARRAY) depth++;
		else if ((byte === OBJECT_END || byte === ARRAY_END) && --depth === 0) break;
	}
	for (at++; at < bytes.length; at++) if (!SPACE.includes(bytes[at] as number)) return undefined;
	return depth === 0 ? found : undefined;
}

/** Where the quote is that ends the text which begins at `at`. */
function endOfText(bytes: Uint8Array, at: number): number | undefined {
	for (let end = at + 1; end < bytes.length; end++) {
		if (bytes[end] === BACKSLASH) end++;
		else if (bytes[end] === QUOTE) return end;
	}
	return undefined;
}

function isKey(bytes: Uint8Array, end: number): boolean {
	let at = end + 1;
	while (SPACE.includes(bytes[at] ?? 0)) at++;
	return bytes[at] === COLON;
}

function textOf(bytes: Uint8Array, start: number, end: number): string | undefined {
	if (end - start > LONGEST_KEY) return undefined;
	try {
		return String(JSON.parse(Buffer.from(bytes.subarray(start, end + 1)).toString('utf8')));
	} catch {
		return undefined;
	}
}
