import { BuiltinFailure } from '../value.ts';

/** Points in time as Rego has them: nanoseconds since the epoch, and what a clock in some zone shows for them. */

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/;
const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** Seconds east of Greenwich at a point in time. */
export interface Zone {
	/** As Go prints it for `MST`. */
	readonly name: string;
	offset(milliseconds: number): number;
}

export const UTC: Zone = { name: 'UTC', offset: () => 0 };

export const fixedZone = (seconds: number): Zone => ({ name: '', offset: () => seconds });

/** A zone of the IANA database; throws BuiltinFailure on an unknown one. `Local` would make decisions depend on the machine. */
export function zoneNamed(name: string): Zone {
	if (name === '' || name === 'UTC') return UTC;
	if (name === 'Local' || !/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) throw new BuiltinFailure('unknown time zone');
	let format: Intl.DateTimeFormat;
	let short: Intl.DateTimeFormat;
	try {
		format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
		short = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'short' });
	} catch {
		throw new BuiltinFailure('unknown time zone');
	}
	const part = (formatter: Intl.DateTimeFormat, milliseconds: number): string =>
		formatter.formatToParts(milliseconds).find(({ type }) => type === 'timeZoneName')?.value ?? '';
	return {
		name: part(short, 0),
		offset: milliseconds => {
			const match = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(part(format, milliseconds));
			if (match?.[1] === undefined) return 0;
			const seconds = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
			return match[1] === '-' ? -seconds : seconds;
		},
	};
}

/** What a calendar and a clock show. */
export interface Fields {
	readonly year: number;
	/** 1 to 12. */
	readonly month: number;
	readonly day: number;
	readonly hour: number;
	readonly minute: number;
	readonly second: number;
	readonly nano: number;
	/** 0 is Sunday. */
	readonly weekday: number;
	/** Seconds east of Greenwich. */
	readonly offset: number;
}

const floorDiv = (a: bigint, b: bigint): bigint => (a % b < 0n ? a / b - 1n : a / b);

export function fieldsAt(nanos: bigint, zone: Zone): Fields {
	const milliseconds = Number(floorDiv(nanos, 1_000_000n));
	const offset = zone.offset(milliseconds);
	const date = new Date(milliseconds + offset * 1000);
	return {
		year: date.getUTCFullYear(),
		month: date.getUTCMonth() + 1,
		day: date.getUTCDate(),
		hour: date.getUTCHours(),
		minute: date.getUTCMinutes(),
		second: date.getUTCSeconds(),
		nano: Number(nanos - floorDiv(nanos, 1_000_000_000n) * 1_000_000_000n),
		weekday: date.getUTCDay(),
		offset,
	};
}

export type Civil = Pick<Fields, 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'nano'>;

/** The point in time at which a clock in the zone shows these fields; fields beyond their range carry over, as in Go. */
export function instantOf(fields: Civil, zone: Zone): bigint {
	const date = new Date(0);
	date.setUTCFullYear(fields.year, fields.month - 1, fields.day);
	date.setUTCHours(fields.hour, fields.minute, fields.second);
	const shown = date.getTime();
	if (Number.isNaN(shown)) throw new BuiltinFailure('time is out of range');
	// The offset just before and just after: Go takes the first that fits.
	let milliseconds = shown - zone.offset(shown) * 1000;
	milliseconds = shown - zone.offset(milliseconds) * 1000;
	return checked(BigInt(milliseconds) * 1_000_000n + BigInt(fields.nano));
}

/** What fits a signed 64-bit integer, as OPA demands. */
export function checked(nanos: bigint): bigint {
	if (nanos < MIN || nanos > MAX) throw new BuiltinFailure('time is out of range');
	return nanos;
}

/** RFC 3339 (§5.6) to nanoseconds since the epoch; throws BuiltinFailure. */
export function nanoseconds(text: string): bigint {
	const match = RFC3339.exec(text);
	if (match === null) throw new BuiltinFailure('no RFC 3339 time');
	const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
	const zone = match[8] ?? 'Z';
	const offset =
		zone === 'Z' ? 0 : (Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(4)) * 60) * (zone.startsWith('-') ? -1 : 1);
	if (!isCivil(year, month, day) || hour > 23 || minute > 59 || second > 59)
		throw new BuiltinFailure('no RFC 3339 time');
	const nano = Number((match[7] ?? '').padEnd(9, '0'));
	return instantOf({ year, month, day, hour, minute, second, nano }, fixedZone(offset));
}

export const isCivil = (year: number, month: number, day: number): boolean =>
	month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);

export const daysIn = (year: number, month: number): number => {
	const date = new Date(0);
	date.setUTCFullYear(year, month, 0);
	return date.getUTCDate();
};
