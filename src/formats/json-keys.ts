const BACKSLASH = 0x5c;

/** Up to here keys are compared byte by byte; longer objects get a set. */
const FEW_KEYS = 12;

/** The keys of the objects that are open, to find one that comes twice. Most objects are small, and need no strings. */
export class JsonKeys {
	readonly #bytes: Uint8Array;
	readonly #buffer: Buffer;
	/** Starts and ends of the keys of all open objects, the innermost last. */
	readonly #spans: number[] = [];
	/** Where the spans of each open array or object begin. */
	readonly #marks: number[] = [];
	readonly #sets: (Set<string> | undefined)[] = [];

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
		this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
	}

	enter(): void {
		this.#marks.push(this.#spans.length);
		this.#sets.push(undefined);
	}

	leave(): void {
		this.#spans.length = this.#marks.pop() ?? 0;
		this.#sets.pop();
	}

	/** Takes the key between two quotes; false when the object has it already. */
	add(start: number, end: number): boolean {
		const depth = this.#marks.length - 1;
		const set = this.#sets[depth];
		if (set !== undefined) return this.#addTo(set, start, end);
		const bytes = this.#bytes;
		const spans = this.#spans;
		const first = this.#marks[depth] ?? 0;
		let escaped = spans.length - first >= FEW_KEYS * 2;
		for (let at = start; at < end && !escaped; at++) escaped = bytes[at] === BACKSLASH;
		if (escaped) {
			const all = new Set<string>();
			for (let index = first; index < spans.length; index += 2)
				this.#addTo(all, spans[index] ?? 0, spans[index + 1] ?? 0);
			this.#sets[depth] = all;
			return this.#addTo(all, start, end);
		}
		for (let index = first; index < spans.length; index += 2) {
			const other = spans[index] ?? 0;
			if ((spans[index + 1] ?? 0) - other !== end - start) continue;
			let same = 0;
			while (start + same < end && bytes[start + same] === bytes[other + same]) same++;
			if (start + same === end) return false;
		}
		spans.push(start, end);
		return true;
	}

	#addTo(set: Set<string>, start: number, end: number): boolean {
		const text = this.#buffer.toString('utf8', start, end);
		const before = set.size;
		set.add(text.includes('\\') ? unescaped(text) : text);
		return set.size > before;
	}
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

const unescaped = (text: string): string =>
	text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, letter: string | undefined) =>
		hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (ESCAPES[letter ?? ''] ?? letter ?? ''),
	);
