import { hash } from 'node:crypto';
import type { Mask, MaskedText } from '../model/call.ts';

/** What stands in a record instead of a secret. */
export const SECRET = '"**"';

/** Begins the text that stands in a record instead of content: SHA-256 over the directory's salt and the JSON text. */
export const DIGEST_PREFIX = 'sha256-salted:';

/** An input as records hold it. `masked` are JSON Pointers of what was replaced. */
export interface Masked {
	readonly text: string;
	readonly masked: readonly string[];
}

const NOTHING: readonly string[] = Object.freeze([]);

/** Replaces what must not stand in records. */
export class Masking {
	readonly #salt: string;
	readonly #full: boolean;

	/** `salt` stays in the audit directory and is in no record; `full` keeps content (never secrets). */
	constructor(salt: string, full: boolean) {
		this.#salt = salt;
		this.#full = full;
	}

	digest(text: string): string {
		return DIGEST_PREFIX + hash('sha256', this.#salt + text, 'hex');
	}

	/** Undefined when the masks do not fit the text: then nothing of it may be shown. */
	apply(input: MaskedText): Masked | undefined {
		if (input.masks.length === 0) return { text: input.text, masked: NOTHING };
		const { text } = input;
		const masked: string[] = [];
		let out = '';
		let at = 0;
		for (const mask of ordered(input.masks)) {
			if (mask.start < 0 || mask.end <= mask.start || mask.end > text.length) return undefined;
			if (mask.kind === 'content' && this.#full) continue;
			if (mask.start < at) {
				// Inside what was replaced already; a stretch that sticks out of it fits no JSON value.
				if (mask.end > at) return undefined;
				continue;
			}
			out += text.slice(at, mask.start);
			out += mask.kind === 'secret' ? SECRET : `"${this.digest(text.slice(mask.start, mask.end))}"`;
			masked.push(mask.pointer);
			at = mask.end;
		}
		return { text: out + text.slice(at), masked };
	}
}

/** By start, the longer first. Protocols give them in order, so this seldom has anything to do. */
function ordered(masks: readonly Mask[]): readonly Mask[] {
	for (let i = 1; i < masks.length; i++) {
		const before = masks[i - 1];
		const mask = masks[i];
		if (before === undefined || mask === undefined) break;
		if (mask.start < before.start || (mask.start === before.start && mask.end > before.end)) {
			return [...masks].sort((a, b) => a.start - b.start || b.end - a.end);
		}
	}
	return masks;
}
