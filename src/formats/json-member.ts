const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * The text of one member of a JSON object as it stands there, so that nothing of it changes by being read. `text` must be
 * valid JSON, and an object; its first member with the key counts. Undefined when there is none.
 */
export function memberText(text: string, key: string): string | undefined {
	const wanted = JSON.stringify(key);
	let depth = 0;
	let start = 0;
	let name: string | undefined;
	for (let at = 0; at < text.length; at++) {
		const char = text.charCodeAt(at);
		if (char === QUOTE) {
			const begin = at;
			for (at++; text.charCodeAt(at) !== QUOTE; at++) {
				if (at >= text.length) return undefined;
				if (text.charCodeAt(at) === BACKSLASH) at++;
			}
			if (depth === 1 && name === undefined) name = text.slice(begin, at + 1);
		} else if (char === 0x7b || char === 0x5b) depth++;
		else if (char === 0x7d || char === 0x5d) {
			depth--;
			if (depth === 0) return name === wanted ? text.slice(start, at).trim() : undefined;
		} else if (depth === 1 && char === COLON && start === 0) start = at + 1;
		else if (depth === 1 && char === COMMA) {
			if (name === wanted) return text.slice(start, at).trim();
			name = undefined;
			start = 0;
		}
	}
	return undefined;
}
