import { aSmallInteger, aString, BuiltinFailure } from '../value.ts';
import type { Family } from './contract.ts';
import type { Pattern } from './pattern-cache.ts';

/** `regex.*` with Go's rules for what counts as a match, on RE2. */

interface Match {
	readonly start: number;
	readonly end: number;
	readonly group: (name: string | number) => string;
}

const MAX_OUTPUT = 4 * 1024 * 1024;

const widthAt = (text: string, at: number): number => ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);

function matchFrom(pattern: Pattern, text: string, at: number): Match | undefined {
	const matcher = pattern.matcher(text);
	if (at > text.length || !matcher.find(at)) return undefined;
	const groups = pattern.groupCount();
	const names = pattern.namedGroups();
	return {
		start: matcher.start(0),
		end: matcher.end(0),
		group: name => {
			const index = typeof name === 'number' ? name : Object.hasOwn(names, name) ? names[name] : undefined;
			return index === undefined || index > groups ? '' : (matcher.group(index) ?? '');
		},
	};
}

/** regexp.FindAll: an empty match right behind a match does not count. */
function findAll(pattern: Pattern, text: string, limit: number): readonly Match[] {
	const found: Match[] = [];
	let at = 0;
	let before = -1;
	while (at <= text.length && (limit < 0 || found.length < limit)) {
		const match = matchFrom(pattern, text, at);
		if (match === undefined) break;
		const counts = match.end !== at || match.start !== before;
		at = match.end === at ? at + widthAt(text, at) : match.end;
		before = match.end;
		if (counts) found.push(match);
	}
	return found;
}

/** regexp.ReplaceAllString, `$1`, `${name}` and `$$` in the replacement. */
function replaceAll(pattern: Pattern, text: string, replacement: string): string {
	const template = parseTemplate(replacement);
	let output = '';
	let last = 0;
	let at = 0;
	while (at <= text.length) {
		const match = matchFrom(pattern, text, at);
		if (match === undefined) break;
		output += text.slice(last, match.start);
		if (match.end > last || match.start === 0)
			for (const part of template) {
				output += typeof part === 'string' ? part : match.group(part.group);
				if (output.length > MAX_OUTPUT) throw new Error(`regex.replace makes more than ${MAX_OUTPUT} characters`);
			}
		last = match.end;
		const width = at < text.length ? widthAt(text, at) : 0;
		if (at + width > match.end) at += width;
		else if (at + 1 > match.end) at += 1;
		else at = match.end;
	}
	return output + text.slice(last);
}

type Part = string | { readonly group: string | number };

function parseTemplate(text: string): readonly Part[] {
	const parts: Part[] = [];
	let last = 0;
	for (const match of text.matchAll(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu)) {
		parts.push(text.slice(last, match.index));
		last = match.index + match[0].length;
		const name = match[1] ?? match[2];
		if (name === undefined) parts.push('$');
		else parts.push({ group: /^\d+$/.test(name) ? Number(name) : name });
	}
	parts.push(text.slice(last));
	return parts;
}

/** regexp.Split with no limit. */
function split(pattern: Pattern, source: string, text: string): readonly string[] {
	if (source !== '' && text === '') return [''];
	const pieces: string[] = [];
	let begin = 0;
	let end = 0;
	for (const match of findAll(pattern, text, -1)) {
		end = match.start;
		if (match.end !== 0) pieces.push(text.slice(begin, end));
		begin = match.end;
	}
	if (end !== text.length) pieces.push(text.slice(begin));
	return pieces;
}

const quoteMeta = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');

/** A text in which what stands between the delimiters is a pattern, and the rest is itself. */
function templatePattern(template: string, open: string, close: string): string {
	if ([...open].length !== 1 || [...close].length !== 1) throw new BuiltinFailure('a delimiter must be one character');
	const bounds: number[] = [];
	let level = 0;
	for (let at = 0; at < template.length; at++) {
		if (template.startsWith(open, at)) {
			if (++level === 1) bounds.push(at);
		} else if (template.startsWith(close, at)) {
			if (--level === 0) bounds.push(at + 1);
			else if (level < 0) throw new BuiltinFailure('unbalanced delimiters');
		}
	}
	if (level !== 0) throw new BuiltinFailure('unbalanced delimiters');
	let pattern = '^';
	let end = 0;
	for (let index = 0; index < bounds.length; index += 2) {
		const start = bounds[index] ?? 0;
		pattern += `${quoteMeta(template.slice(end, start))}(${template.slice(start + 1, (bounds[index + 1] ?? 0) - 1)})`;
		end = bounds[index + 1] ?? 0;
	}
	return `${pattern}${quoteMeta(template.slice(end))}$`;
}

export const REGEX: Family = {
	'regex.replace': ([text, pattern, replacement], { patterns }) =>
		replaceAll(patterns.get(aString(pattern)), aString(text), aString(replacement)),
	'regex.find_n': ([pattern, text, limit], { patterns }) =>
		findAll(patterns.get(aString(pattern)), aString(text), aSmallInteger(limit)).map(match => match.group(0)),
	'regex.split': ([pattern, text], { patterns }) =>
		split(patterns.get(aString(pattern)), aString(pattern), aString(text)),
	'regex.template_match': ([template, text, open, close], { patterns }) =>
		matchFrom(patterns.get(templatePattern(aString(template), aString(open), aString(close))), aString(text), 0) !==
		undefined,
};
