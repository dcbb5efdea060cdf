import { RE2JS } from 're2js';
import { BuiltinFailure } from '../value.ts';

const MAX_PATTERNS = 128;
const MAX_PATTERN_LENGTH = 4096;

/** Compiled regular expressions, RE2 as in OPA: matching takes time linear in the text, whatever the pattern. */
export class PatternCache {
	readonly #compiled = new Map<string, RE2JS>();

	/** Throws BuiltinFailure on what is no pattern. */
	get(pattern: string): RE2JS {
		const known = this.#compiled.get(pattern);
		if (known !== undefined) return known;
		if (pattern.length > MAX_PATTERN_LENGTH)
			throw new Error(`a regular expression is longer than ${MAX_PATTERN_LENGTH} characters`);
		let compiled: RE2JS;
		try {
			compiled = RE2JS.compile(pattern);
		} catch {
			throw new BuiltinFailure('not a regular expression');
		}
		if (this.#compiled.size >= MAX_PATTERNS) this.#compiled.clear();
		this.#compiled.set(pattern, compiled);
		return compiled;
	}
}
