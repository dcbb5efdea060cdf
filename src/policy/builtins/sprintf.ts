import { isArray, isObject, RegoSet, type Value } from '../value.ts';
import { compare } from './order.ts';

/** `sprintf`, as OPA gives it to Go's fmt.Sprintf: integers, floats and strings; everything else as its text. */

const MAX_WIDTH = 1_000;
const MAX_OUTPUT = 4 * 1024 * 1024;

type Argument =
	| { readonly type: 'int64' | '*big.Int'; readonly value: bigint }
	| { readonly type: 'float64'; readonly value: number }
	| { readonly type: 'string'; readonly value: string };

function argument(value: Value): Argument {
	if (typeof value === 'bigint') return { type: BigInt.asIntN(64, value) === value ? 'int64' : '*big.Int', value };
	if (typeof value === 'number')
		return Number.isSafeInteger(value) ? { type: 'int64', value: BigInt(value) } : { type: 'float64', value };
	return { type: 'string', value: typeof value === 'string' ? value : termText(value) };
}

/** The text of a value as Rego prints it: members of sets and keys of objects in order. */
export function termText(value: Value): string {
	if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
	if (typeof value === 'number') return numberText(value);
	if (typeof value === 'string') return quote(value);
	if (value instanceof RegoSet)
		return value.items.length === 0 ? 'set()' : `{${value.items.toSorted(compare).map(termText).join(', ')}}`;
	if (isObject(value)) {
		const entries = [...value].toSorted(([a], [b]) => compare(a, b));
		return `{${entries.map(([key, item]) => `${termText(key)}: ${termText(item)}`).join(', ')}}`;
	}
	return isArray(value) ? `[${value.map(termText).join(', ')}]` : '';
}

const numberText = (value: number): string => String(value);

interface Verb {
	readonly minus: boolean;
	readonly plus: boolean;
	readonly sharp: boolean;
	readonly space: boolean;
	readonly zero: boolean;
	readonly width: number | undefined;
	readonly precision: number | undefined;
	readonly letter: string;
}

export function sprintf(format: string, values: readonly Value[]): string {
	const args = values.map(argument);
	let next = 0;
	let reordered = false;
	let room = MAX_OUTPUT;
	const directive = /%([-+# 0]*)(?:\[(\d+)\])?(\*|\d+)?(?:\.(\*|\d+)?)?(?:\[(\d+)\])?(.)?/gsu;
	const star = (text: string | undefined): number | undefined => {
		if (text === undefined) return undefined;
		if (text !== '*') return limited(Number(text));
		const taken = args[next++];
		return taken?.type === 'int64' ? limited(Number(taken.value)) : undefined;
	};
	const text = format.replace(
		directive,
		(
			all,
			flags: string,
			first: string | undefined,
			width: string | undefined,
			precision: string | undefined,
			second: string | undefined,
			letter: string | undefined,
		) => {
			const index = second ?? first;
			if (index !== undefined) {
				next = Number(index) - 1;
				reordered = true;
			}
			const wide = star(width);
			const precise =
				precision === undefined
					? /\.(\[\d+\])?.?$/su.test(all) && all.includes('.') && letter !== '.'
						? 0
						: undefined
					: star(precision);
			if (letter === undefined) return '%!(NOVERB)';
			if (letter === '%') return '%';
			const taken = args[next++];
			if (taken === undefined) return index === undefined ? `%!${letter}(MISSING)` : `%!${letter}(BADINDEX)`;
			const minus = flags.includes('-') || (wide !== undefined && wide < 0);
			const printed = print(taken, {
				minus,
				plus: flags.includes('+'),
				sharp: flags.includes('#'),
				space: flags.includes(' '),
				zero: flags.includes('0') && !minus,
				width: wide === undefined ? undefined : Math.abs(wide),
				precision: precise,
				letter,
			});
			room -= printed.length;
			if (room < 0) throw new Error(`sprintf makes more than ${MAX_OUTPUT} characters`);
			return printed;
		},
	);
	if (reordered || next >= args.length) return text;
	const extra = args.slice(next).map(arg => `${arg.type}=${plain(arg)}`);
	return `${text}%!(EXTRA ${extra.join(', ')})`;
}

function limited(width: number): number {
	if (Math.abs(width) > MAX_WIDTH) throw new Error(`a width in sprintf is greater than ${MAX_WIDTH}`);
	return width;
}

const plain = (arg: Argument): string =>
	arg.type === 'float64' ? floatText(arg.value, 'g', undefined) : String(arg.value);

function print(arg: Argument, verb: Verb): string {
	const { letter } = verb;
	if (letter === 'T') return filled(arg.type, verb, false);
	const body =
		arg.type === 'string'
			? printString(arg.value, verb)
			: arg.type === 'float64'
				? printFloat(arg.value, verb)
				: printInt(arg.value, verb);
	return body ?? `%!${letter}(${arg.type}=${plain(arg)})`;
}

function printInt(value: bigint, verb: Verb): string | undefined {
	const bases: Readonly<Record<string, number>> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
	const { letter } = verb;
	if (letter === 'c' || letter === 'q' || letter === 'U') {
		const valid = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
		const character = valid ? String.fromCodePoint(Number(value)) : '\ufffd';
		if (letter === 'U') return filled(`U+${value.toString(16).toUpperCase().padStart(4, '0')}`, verb, false);
		return filled(
			letter === 'c' ? character : `'${character === "'" ? "\\'" : quote(character).slice(1, -1).replace('\\"', '"')}'`,
			verb,
			false,
		);
	}
	const base = bases[letter];
	if (base === undefined) return undefined;
	const negative = value < 0n;
	let digits = (negative ? -value : value).toString(base);
	if (letter === 'X') digits = digits.toUpperCase();
	if (verb.precision !== undefined)
		digits = verb.precision === 0 && value === 0n ? '' : digits.padStart(verb.precision, '0');
	let sign = negative ? '-' : verb.plus ? '+' : verb.space ? ' ' : '';
	if (letter === 'O') sign += '0o';
	else if (verb.sharp)
		sign += letter === 'x' || letter === 'X' ? `0${letter}` : letter === 'b' ? '0b' : letter === 'o' ? '0' : '';
	return signed(sign, digits, verb, verb.precision === undefined);
}

function printFloat(value: number, verb: Verb): string | undefined {
	if (!'vgGfFeE'.includes(verb.letter)) return undefined;
	const text = floatText(Math.abs(value), verb.letter, verb.precision);
	return signed(value < 0 ? '-' : verb.plus ? '+' : verb.space ? ' ' : '', text, verb, true);
}

/** Go's strconv.FormatFloat for 64 bits, the shortest form where no precision is asked for. */
function floatText(value: number, letter: string, precision: number | undefined): string {
	const exponent = (text: string): string => text.replace(/e([+-])(\d)$/, 'e$10$2');
	switch (letter) {
		case 'f':
		case 'F':
			return value.toFixed(Math.min(precision ?? 6, 100));
		case 'e':
		case 'E': {
			const text = exponent(value.toExponential(Math.min(precision ?? 6, 100)));
			return letter === 'E' ? text.toUpperCase() : text;
		}
		default: {
			const shortest = value.toExponential(
				precision === undefined ? undefined : Math.min(Math.max(precision, 1) - 1, 100),
			);
			const power = Number(/e([+-]\d+)$/.exec(shortest)?.[1] ?? '0');
			const limit = precision === undefined ? 21 : Math.max(precision, 1);
			let text = shortest.replace(/(\.\d*?)0+e/, '$1e').replace('.e', 'e');
			if (power < -4 || power >= limit) text = exponent(text);
			else {
				const digits = text.replace(/e.*$/, '').replace('.', '').replace('-', '');
				const point = power + 1;
				const padded =
					point <= 0
						? `0.${'0'.repeat(-point)}${digits}`
						: digits.length <= point
							? digits.padEnd(point, '0')
							: `${digits.slice(0, point)}.${digits.slice(point)}`;
				text = value < 0 ? `-${padded}` : padded;
			}
			return letter === 'G' ? text.toUpperCase() : text;
		}
	}
}

function printString(value: string, verb: Verb): string | undefined {
	const { letter, precision } = verb;
	const cut = precision === undefined ? value : [...value].slice(0, precision).join('');
	switch (letter) {
		case 's':
			return filled(cut, verb, verb.zero);
		case 'v':
			return filled(verb.sharp ? quote(cut) : cut, verb, verb.zero);
		case 'q':
			return filled(verb.sharp && !cut.includes('`') ? `\`${cut}\`` : quote(cut), verb, verb.zero);
		case 'x':
		case 'X': {
			const bytes = Buffer.from(value).subarray(0, precision);
			const hex = bytes.toString('hex').replace(/(..)(?!$)/g, verb.space ? '$1 ' : '$1');
			return filled((verb.sharp ? `0${letter}` : '') + (letter === 'X' ? hex.toUpperCase() : hex), verb, false);
		}
		default:
			return undefined;
	}
}

function signed(sign: string, digits: string, verb: Verb, zeros: boolean): string {
	if (verb.zero && zeros && verb.width !== undefined) return sign + digits.padStart(verb.width - sign.length, '0');
	return filled(sign + digits, verb, false);
}

function filled(text: string, verb: Verb, zeros: boolean): string {
	const missing = (verb.width ?? 0) - [...text].length;
	if (missing <= 0) return text;
	return verb.minus ? text + ' '.repeat(missing) : (zeros ? '0' : ' ').repeat(missing) + text;
}

/** Go's strconv.Quote, for text that can be printed. */
function quote(text: string): string {
	const escapes: Readonly<Record<string, string>> = {
		'\x07': '\\a',
		'\b': '\\b',
		'\f': '\\f',
		'\n': '\\n',
		'\r': '\\r',
		'\t': '\\t',
		'\v': '\\v',
		'\\': '\\\\',
		'"': '\\"',
	};
	let quoted = '';
	for (const character of text) {
		const code = character.codePointAt(0) ?? 0;
		quoted +=
			escapes[character] ?? (code < 0x20 || code === 0x7f ? `\\x${code.toString(16).padStart(2, '0')}` : character);
	}
	return `"${quoted}"`;
}
