const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Whether the text's outermost value is an object, and whether that has a member of this name, however it is spelled. The
 * text is one that `scanJson` took, and may be large: nothing is built of it.
 */
export function objectMember(bytes: Uint8Array, name: string): { readonly object: boolean; readonly found: boolean } {
	const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
	const wanted = Buffer.from(JSON.stringify(name)).subarray(1, -1);
	let first = 0;
	while (isSpace(bytes[first])) first++;
	if (bytes[first] !== 0x7b) return { object: false, found: false };
	let depth = 0;
	for (let at = first; at < bytes.length; at++) {
		const byte = bytes[at];
		if (byte === 0x7b || byte === 0x5b) depth++;
		else if (byte === 0x7d || byte === 0x5d) depth--;
		else if (byte === QUOTE) {
			const start = at + 1;
			let escaped = false;
			for (at = start; bytes[at] !== QUOTE; at++) {
				if (bytes[at] !== BACKSLASH) continue;
				escaped = true;
				at++;
			}
			if (depth > 1 || !isKey(bytes, at + 1)) continue;
			const key = buffer.subarray(start, at);
			if (key.equals(wanted)) return { object: true, found: true };
			if (escaped && JSON.parse(`"${key.toString('utf8')}"`) === name) return { object: true, found: true };
		}
	}
	return { object: true, found: false };
}

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Behind a string: whether it was a key. */
function isKey(bytes: Uint8Array, behind: number): boolean {
	let at = behind;
	while (isSpace(bytes[at])) at++;
	return bytes[at] === 0x3a;
}
