import type { Masking } from './mask.ts';

/** `audit.sql`: how SQL text stands in records. */
export type SqlStyle = 'normalized' | 'text' | 'digest';

/** Longest statement that a record holds, in UTF-16 units. */
const LONGEST = 64 * 1024;

export function sqlForRecord(text: string, style: SqlStyle, masking: Masking): string {
	if (style === 'digest') return masking.digest(text);
	// Cut first: reading a statement costs more the longer it is, and a literal that is cut in two does not show.
	const part = text.length > LONGEST ? text.slice(0, LONGEST) : text;
	const shown = style === 'text' ? part : normalizeSql(part);
	return part === text || shown.endsWith(' …') ? shown : `${shown} …`;
}

const WORD_START = /[A-Za-z_\u0080-\uffff]/;
const WORD = /[A-Za-z0-9_$\u0080-\uffff]*/y;
const SPACE = /[\s\0]*/y;
const NUMBER = /(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d[\d_]*)?\.?)/y;
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const PARAMETER = /\$\d+/y;
/** Prefixes that make a literal of the quote that follows at once (PostgreSQL documentation, 4.1.2). */
const LITERAL_PREFIX = /^(?:[eEbBxXnN]|[uU]&)$/;

/** End of what a sticky expression matches at `at`; `at` itself when it does not match. */
function end(expression: RegExp, text: string, at: number): number {
	expression.lastIndex = at;
	return expression.test(text) ? expression.lastIndex : at;
}

/**
 * PostgreSQL's SQL with every literal replaced by `?`, without comments, white space folded. Whatever cannot be read in
 * one way (a literal or comment without an end, a backslash before the closing quote of a plain literal, whose meaning
 * hangs on `standard_conforming_strings`) ends the text with `?`, so that no value is shown by mistake.
 */
export function normalizeSql(text: string): string {
	let out = '';
	let at = 0;
	let gap = false;
	const put = (token: string): void => {
		if (gap && out !== '') out += ' ';
		gap = false;
		out += token;
	};
	while (at < text.length) {
		const spaced = end(SPACE, text, at);
		if (spaced > at) {
			gap = true;
			at = spaced;
			continue;
		}
		const char = text.charAt(at);
		const pair = text.slice(at, at + 2);
		let next = at + 1;
		if (pair === '--') {
			const found = /[\r\n]/g;
			found.lastIndex = at;
			next = found.test(text) ? found.lastIndex : text.length;
			gap = true;
		} else if (pair === '/*') {
			next = endOfComment(text, at);
			gap = true;
		} else if (char === "'") {
			next = endOfPlain(text, at);
			put('?');
		} else if (char === '"') {
			next = endOfQuoted(text, at, '"', false);
			put(next === -1 ? '?' : text.slice(at, next));
		} else if (char === '$') {
			const tag = end(DOLLAR, text, at);
			const parameter = end(PARAMETER, text, at);
			if (tag > at) {
				const close = text.indexOf(text.slice(at, tag), tag);
				next = close === -1 ? -1 : close + (tag - at);
				put('?');
			} else {
				if (parameter > at) next = parameter;
				put(text.slice(at, next));
			}
		} else if (WORD_START.test(char)) {
			next = end(WORD, text, at);
			if (/^[uU]$/.test(text.slice(at, next)) && /^&['"]/.test(text.slice(next, next + 2))) next += 1;
			const word = text.slice(at, next);
			if (text.charAt(next) === "'" && LITERAL_PREFIX.test(word)) {
				next = /^[eE]$/.test(word) ? endOfQuoted(text, next, "'", true) : endOfPlain(text, next);
				put('?');
			} else put(word);
		} else if (/[0-9]/.test(char) || (char === '.' && /[0-9]/.test(text.charAt(at + 1)))) {
			next = Math.max(next, end(NUMBER, text, at));
			// Letters that stick to a number are junk to PostgreSQL; they go with it.
			next = end(WORD, text, next);
			put('?');
		} else put(char);
		if (next === -1) return `${out} …`;
		at = next;
	}
	return out;
}

/** After the closing quote of the literal whose opening quote stands at `at`; -1 when there is none. */
function endOfQuoted(text: string, at: number, quote: string, backslash: boolean): number {
	for (let i = at + 1; i < text.length; i++) {
		const char = text.charAt(i);
		if (backslash && char === '\\') i++;
		else if (char === quote) {
			if (text.charAt(i + 1) !== quote) return i + 1;
			i++;
		}
	}
	return -1;
}

/** As `endOfQuoted`, and -1 too when a backslash before a quote leaves two ways to read it. */
function endOfPlain(text: string, at: number): number {
	const close = endOfQuoted(text, at, "'", false);
	return close === -1 || /\\'/.test(text.slice(at + 1, close)) ? -1 : close;
}

function endOfComment(text: string, at: number): number {
	let depth = 0;
	for (let i = at; i < text.length - 1; i++) {
		const pair = text.slice(i, i + 2);
		if (pair === '/*') {
			depth++;
			i++;
		} else if (pair === '*/') {
			depth--;
			i++;
			if (depth === 0) return i + 1;
		}
	}
	return -1;
}
