import { BuiltinFailure } from '../value.ts';
import { type Fields, fixedZone, instantOf, isCivil, UTC, type Zone } from './instant.ts';

/** Layouts of Go's package time: a sample date, `Mon Jan 2 15:04:05 MST 2006`, written as times are to be written. */

/** Names that OPA accepts in place of a layout. */
const NAMED: Readonly<Record<string, string>> = {
	ANSIC: 'Mon Jan _2 15:04:05 2006',
	UnixDate: 'Mon Jan _2 15:04:05 MST 2006',
	RubyDate: 'Mon Jan 02 15:04:05 -0700 2006',
	RFC822: '02 Jan 06 15:04 MST',
	RFC822Z: '02 Jan 06 15:04 -0700',
	RFC850: 'Monday, 02-Jan-06 15:04:05 MST',
	RFC1123: 'Mon, 02 Jan 2006 15:04:05 MST',
	RFC1123Z: 'Mon, 02 Jan 2006 15:04:05 -0700',
	RFC3339: '2006-01-02T15:04:05Z07:00',
	RFC3339Nano: '2006-01-02T15:04:05.999999999Z07:00',
};

export const RFC3339_NANO = 'RFC3339Nano';
export const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
const MONTHS = [
	'January',
	'February',
	'March',
	'April',
	'May',
	'June',
	'July',
	'August',
	'September',
	'October',
	'November',
	'December',
] as const;

/** Longer ones first where one begins another. `Jan` and `Mon` must not begin a longer word. */
const TOKEN =
	/January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2006|_2|002|01|02|03|04|05|06|15|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07|PM|pm|[.,]0+(?!\d)|[.,]9+(?!\d)|1|2|3|4|5/g;

type Piece = { readonly literal: string } | { readonly token: string };

const MAX_LAYOUT = 256;

function pieces(layout: string): readonly Piece[] {
	const text = Object.hasOwn(NAMED, layout) ? (NAMED[layout] ?? layout) : layout;
	if (text.length > MAX_LAYOUT) throw new Error(`a time layout is longer than ${MAX_LAYOUT} characters`);
	const found: Piece[] = [];
	let at = 0;
	for (const match of text.matchAll(TOKEN)) {
		if (match.index > at) found.push({ literal: text.slice(at, match.index) });
		// `_2006` is an underscore and a year.
		if (match[0] === '_2006') found.push({ literal: '_' }, { token: '2006' });
		else found.push({ token: match[0] });
		at = match.index + match[0].length;
	}
	if (at < text.length) found.push({ literal: text.slice(at) });
	return found;
}

const pad = (value: number, width: number, fill = '0'): string => String(value).padStart(width, fill);

export function formatTime(fields: Fields, layout: string, zone: Zone): string {
	return pieces(layout)
		.map(piece => ('literal' in piece ? piece.literal : formatToken(piece.token, fields, zone)))
		.join('');
}

function formatToken(token: string, fields: Fields, zone: Zone): string {
	const { year, month, day, hour, minute, second, nano, weekday, offset } = fields;
	const twelve = hour % 12 === 0 ? 12 : hour % 12;
	switch (token) {
		case '2006':
			return pad(year, 4);
		case '06':
			return pad(year % 100, 2);
		case 'January':
			return MONTHS[month - 1] ?? '';
		case 'Jan':
			return (MONTHS[month - 1] ?? '').slice(0, 3);
		case '01':
			return pad(month, 2);
		case '1':
			return String(month);
		case 'Monday':
			return DAYS[weekday] ?? '';
		case 'Mon':
			return (DAYS[weekday] ?? '').slice(0, 3);
		case '02':
			return pad(day, 2);
		case '_2':
			return pad(day, 2, ' ');
		case '2':
			return String(day);
		case '002':
			return pad(dayOfYear(fields), 3);
		case '__2':
			return pad(dayOfYear(fields), 3, ' ');
		case '15':
			return pad(hour, 2);
		case '03':
			return pad(twelve, 2);
		case '3':
			return String(twelve);
		case '04':
			return pad(minute, 2);
		case '4':
			return String(minute);
		case '05':
			return pad(second, 2);
		case '5':
			return String(second);
		case 'PM':
			return hour >= 12 ? 'PM' : 'AM';
		case 'pm':
			return hour >= 12 ? 'pm' : 'am';
		case 'MST':
			return zone === UTC ? 'UTC' : zoneAbbreviation(zone, offset);
		default:
			return /^[.,]/.test(token) ? formatFraction(token, nano) : formatOffset(token, offset);
	}
}

const dayOfYear = (fields: Fields): number =>
	Math.round((Date.UTC(fields.year, fields.month - 1, fields.day) - Date.UTC(fields.year, 0, 1)) / 86_400_000) + 1;

function zoneAbbreviation(zone: Zone, offset: number): string {
	if (/^[A-Z]{3,5}$/.test(zone.name)) return zone.name;
	return formatOffset(offset % 3600 === 0 ? '-07' : '-0700', offset);
}

function formatFraction(token: string, nano: number): string {
	const digits = pad(nano, 9).slice(0, token.length - 1);
	if (token[1] === '0') return token.charAt(0) + digits;
	const trimmed = digits.replace(/0+$/, '');
	return trimmed === '' ? '' : token.charAt(0) + trimmed;
}

function formatOffset(token: string, offset: number): string {
	if (token.startsWith('Z') && offset === 0) return 'Z';
	const seconds = Math.abs(offset);
	const colon = token.includes(':') ? ':' : '';
	const parts = [pad(Math.floor(seconds / 3600), 2)];
	if (token.length > 3) parts.push(pad(Math.floor(seconds / 60) % 60, 2));
	if (/(00:00|0000)$/.test(token.slice(3))) parts.push(pad(seconds % 60, 2));
	return (offset < 0 ? '-' : '+') + parts.join(colon);
}

/** What each token matches, and what it sets. */
const NUMBERS: Readonly<Record<string, readonly [pattern: string, key: string]>> = {
	'2006': ['\\d{4}', 'year'],
	'06': ['\\d{2}', 'shortYear'],
	'01': ['\\d{2}', 'month'],
	'1': ['\\d{1,2}', 'month'],
	'02': ['\\d{2}', 'day'],
	_2: [' ?\\d{1,2}', 'day'],
	'2': ['\\d{1,2}', 'day'],
	'15': ['\\d{1,2}', 'hour'],
	'03': ['\\d{2}', 'hour12'],
	'3': ['\\d{1,2}', 'hour12'],
	'04': ['\\d{2}', 'minute'],
	'4': ['\\d{1,2}', 'minute'],
	'05': ['\\d{2}', 'second'],
	'5': ['\\d{1,2}', 'second'],
};

/** Reads a time written by a layout; throws BuiltinFailure when it is not. Without a zone in it, it is UTC. */
export function parseTime(layout: string, text: string): bigint {
	const values = new Map<string, number>();
	let zone: Zone = UTC;
	let rest = text;
	const take = (pattern: RegExp): string => {
		const match = pattern.exec(rest);
		if (match === null) throw new BuiltinFailure('the time is not written by its layout');
		rest = rest.slice(match[0].length);
		return match[0];
	};
	const word = (words: readonly string[], length?: number): number => {
		const index = words.findIndex(candidate => rest.toLowerCase().startsWith(candidate.slice(0, length).toLowerCase()));
		if (index < 0) throw new BuiltinFailure('the time is not written by its layout');
		rest = rest.slice((words[index] ?? '').slice(0, length).length);
		return index;
	};
	const all = pieces(layout);
	for (const [index, piece] of all.entries()) {
		if ('literal' in piece) {
			if (!rest.startsWith(piece.literal)) throw new BuiltinFailure('the time is not written by its layout');
			rest = rest.slice(piece.literal.length);
			continue;
		}
		const { token } = piece;
		const number = NUMBERS[token];
		if (number !== undefined) {
			values.set(number[1], Number(take(new RegExp(`^${number[0]}`)).trim()));
			const next = all[index + 1];
			const fractionNext = next !== undefined && 'token' in next && /^[.,]/.test(next.token);
			// Go takes a fraction after the seconds even if the layout has none.
			if (number[1] === 'second' && !fractionNext && /^[.,]\d/.test(rest))
				values.set('nano', fraction(take(/^[.,]\d+/)));
		} else if (token === 'January') values.set('month', word(MONTHS) + 1);
		else if (token === 'Jan') values.set('month', word(MONTHS, 3) + 1);
		else if (token === 'Monday') word(DAYS);
		else if (token === 'Mon') word(DAYS, 3);
		else if (token === 'PM' || token === 'pm')
			values.set('pm', take(token === 'PM' ? /^[AP]M/ : /^[ap]m/).toLowerCase() === 'pm' ? 1 : 0);
		else if (token === 'MST') zone = namedZone(take(/^(?:UTC|GMT[+-]\d{1,2}|[A-Z]{3,4}T?)/), zone);
		else if (token === '002' || token === '__2')
			values.set('yearDay', Number(take(token === '002' ? /^\d{3}/ : /^ {0,2}\d{1,3}/).trim()));
		else if (/^[.,]/.test(token)) {
			if (token[1] === '0') values.set('nano', fraction(take(new RegExp(`^[.,]\\d{${token.length - 1}}`))));
			else if (/^[.,]\d/.test(rest)) values.set('nano', fraction(take(/^[.,]\d+/)));
		} else zone = offsetZone(token, take);
	}
	if (rest !== '') throw new BuiltinFailure('the time is longer than its layout');
	return instantOf(civil(values), zone);
}

const fraction = (text: string): number => Number(text.slice(1, 10).padEnd(9, '0'));

function namedZone(name: string, known: Zone): Zone {
	if (name === 'UTC') return UTC;
	const match = /^GMT([+-]\d{1,2})$/.exec(name);
	// An abbreviation alone says no offset: Go takes zero, unless the layout had an offset too.
	return match === null ? known : fixedZone(Number(match[1]) * 3600);
}

function offsetZone(token: string, take: (pattern: RegExp) => string): Zone {
	const colon = token.includes(':') ? ':' : '';
	const minutes = token.length > 3 ? `${colon}\\d\\d` : '';
	const seconds = /(00:00|0000)$/.test(token.slice(3)) ? `${colon}\\d\\d` : '';
	const text = take(new RegExp(`^(?:${token.startsWith('Z') ? 'Z|' : ''}[+-]\\d\\d${minutes}${seconds})`));
	if (text === 'Z') return UTC;
	const [hours = 0, mins = 0, secs = 0] = (text.slice(1).replaceAll(':', '').match(/\d\d/g) ?? []).map(Number);
	if (hours > 24 || mins > 60 || secs > 60) throw new BuiltinFailure('time zone is out of range');
	return fixedZone((hours * 3600 + mins * 60 + secs) * (text.startsWith('-') ? -1 : 1));
}

function civil(values: ReadonlyMap<string, number>): Parameters<typeof instantOf>[0] {
	const short = values.get('shortYear');
	const year = values.get('year') ?? (short === undefined ? 0 : short >= 69 ? 1900 + short : 2000 + short);
	const yearDay = values.get('yearDay');
	const month = values.get('month') ?? 1;
	const day = values.get('day') ?? yearDay ?? 1;
	const half = values.get('hour12');
	const pm = values.get('pm');
	let hour = values.get('hour') ?? half ?? 0;
	if (pm === 1 && hour < 12) hour += 12;
	else if (pm === 0 && hour === 12) hour = 0;
	const minute = values.get('minute') ?? 0;
	const second = values.get('second') ?? 0;
	const bounded = hour <= 23 && (half === undefined || half <= 12) && minute <= 59 && second <= 59;
	if (!bounded || (yearDay === undefined && !isCivil(year, month, day)))
		throw new BuiltinFailure('time is out of range');
	return { year, month, day, hour, minute, second, nano: values.get('nano') ?? 0 };
}
