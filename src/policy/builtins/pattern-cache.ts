import { type Matcher, MatcherInput, RE2JS } from 're2js';
import { BuiltinFailure } from '../value.ts';

const MAX_PATTERNS = 128;
const MAX_PATTERN_LENGTH = 4096;
/** Steps for each character that is looked at, and one more for so many instructions: some are tried for each of them. */
const LOOK = 4;
const INSTRUCTIONS = 8;

/** A text whose characters cost something each time that they are looked at. */
class CountedText extends String {
	readonly #cost: number;
	readonly #spend: (steps: number) => void;

	constructor(text: string, cost: number, spend: (steps: number) => void) {
		super(text);
		this.#cost = cost;
		this.#spend = spend;
	}

	override charCodeAt(index: number): number {
		this.#spend(this.#cost);
		return super.charCodeAt(index);
	}
}

/** One compiled regular expression, RE2 as in OPA. One search takes time linear in the text; many of them may not, and are counted. */
export class Pattern {
	readonly #compiled: RE2JS;
	readonly #cost: number;
	readonly #spend: (steps: number) => void;

	/** Throws what RE2JS throws on what is no pattern. */
	constructor(pattern: string, spend: (steps: number) => void) {
		this.#compiled = RE2JS.compile(pattern);
		this.#cost = LOOK + Math.floor(this.#compiled.programSize() / INSTRUCTIONS);
		this.#spend = spend;
	}

	matcher(text: string): Matcher {
		return this.#compiled.matcher(MatcherInput.utf16(new CountedText(text, this.#cost, this.#spend)));
	}

	groupCount(): number {
		return this.#compiled.groupCount();
	}

	namedGroups(): Readonly<Record<string, number>> {
		return this.#compiled.namedGroups();
	}
}

export class PatternCache {
	readonly #compiled = new Map<string, Pattern>();
	readonly #spend: (steps: number) => void;

	/** `spend`: of BuiltinContext. */
	constructor(spend: (steps: number) => void) {
		this.#spend = spend;
	}

	/** Throws BuiltinFailure on what is no pattern. */
	get(pattern: string): Pattern {
		const known = this.#compiled.get(pattern);
		if (known !== undefined) return known;
		if (pattern.length > MAX_PATTERN_LENGTH)
			throw new Error(`a regular expression is longer than ${MAX_PATTERN_LENGTH} characters`);
		let compiled: Pattern;
		try {
			compiled = new Pattern(pattern, this.#spend);
		} catch {
			throw new BuiltinFailure('not a regular expression');
		}
		if (this.#compiled.size >= MAX_PATTERNS) this.#compiled.clear();
		this.#compiled.set(pattern, compiled);
		return compiled;
	}
}
