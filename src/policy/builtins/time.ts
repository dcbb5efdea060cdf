import { anArray, anInteger, aSmallInteger, aString, BuiltinFailure, integer, isArray, type Value } from '../value.ts';
import type { Family } from './contract.ts';
import {
	checked,
	daysIn,
	type Fields,
	fieldsAt,
	instantOf,
	nanoseconds,
	UTC,
	type Zone,
	zoneNamed,
} from './instant.ts';
import { DAYS, formatTime, parseTime, RFC3339_NANO } from './time-layout.ts';

/** `time.*`. A time is nanoseconds, `[nanoseconds, zone]` or, for `format`, `[nanoseconds, zone, layout]`. */

interface Moment {
	readonly nanos: bigint;
	readonly zone: Zone;
	readonly layout: string;
}

function moment(value: Value | undefined): Moment {
	if (value !== undefined && isArray(value)) {
		const [nanos, zone, layout] = anArray(value);
		if (zone === undefined) throw new BuiltinFailure('a time zone is missing');
		return {
			nanos: checked(anInteger(nanos)),
			zone: zoneNamed(aString(zone)),
			layout: layout === undefined ? RFC3339_NANO : aString(layout),
		};
	}
	return { nanos: checked(anInteger(value)), zone: UTC, layout: RFC3339_NANO };
}

function fields(value: Value | undefined): Fields {
	const { nanos, zone } = moment(value);
	return fieldsAt(nanos, zone);
}

const DURATION: Readonly<Record<string, bigint>> = {
	ns: 1n,
	us: 1_000n,
	µs: 1_000n,
	μs: 1_000n,
	ms: 1_000_000n,
	s: 1_000_000_000n,
	m: 60_000_000_000n,
	h: 3_600_000_000_000n,
};

const MAX_DURATION = 128;

/** Go's time.ParseDuration: `-1h30m`, `1.5s`. */
function duration(text: string): bigint {
	if (text.length > MAX_DURATION) throw new Error(`a duration is longer than ${MAX_DURATION} characters`);
	const match = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text);
	if (match === null) {
		if (/^[+-]?0$/.test(text)) return 0n;
		throw new BuiltinFailure('no duration');
	}
	let total = 0n;
	for (const [, whole = '', part = '', unit = ''] of text.matchAll(/(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g)) {
		const size = DURATION[unit] ?? 0n;
		total += BigInt(whole === '' ? '0' : whole) * size;
		if (part !== '') total += (BigInt(part.slice(0, 18)) * size) / 10n ** BigInt(Math.min(part.length, 18));
	}
	return checked(match[1] === '-' ? -total : total);
}

/** Years, months, days, hours, minutes and seconds from the earlier to the later, by the calendar of the first's zone. */
function difference(first: Value | undefined, second: Value | undefined): readonly number[] {
	const one = moment(first);
	const other = moment(second);
	const [from, to] = one.nanos <= other.nanos ? [one, other] : [other, one];
	const a = fieldsAt(from.nanos, from.zone);
	const b = fieldsAt(to.nanos, from.zone);
	const parts = [
		b.year - a.year,
		b.month - a.month,
		b.day - a.day,
		b.hour - a.hour,
		b.minute - a.minute,
		b.second - a.second,
	];
	const borrow = (index: number, size: number): void => {
		parts[index] = (parts[index] ?? 0) + size;
		parts[index - 1] = (parts[index - 1] ?? 0) - 1;
	};
	if ((parts[5] ?? 0) < 0) borrow(5, 60);
	if ((parts[4] ?? 0) < 0) borrow(4, 60);
	if ((parts[3] ?? 0) < 0) borrow(3, 24);
	if ((parts[2] ?? 0) < 0) borrow(2, daysIn(a.year, a.month));
	if ((parts[1] ?? 0) < 0) borrow(1, 12);
	return parts;
}

export const TIME: Family = {
	'time.now_ns': (_, context) => context.now(),
	'time.parse_rfc3339_ns': ([text]) => integer(nanoseconds(aString(text))),
	'time.parse_ns': ([layout, text]) => integer(parseTime(aString(layout), aString(text))),
	'time.parse_duration_ns': ([text]) => integer(duration(aString(text))),
	'time.date': ([time]) => {
		const { year, month, day } = fields(time);
		return [year, month, day];
	},
	'time.clock': ([time]) => {
		const { hour, minute, second } = fields(time);
		return [hour, minute, second];
	},
	'time.weekday': ([time]) => DAYS[fields(time).weekday],
	'time.format': ([time]) => {
		const { nanos, zone, layout } = moment(time);
		return formatTime(fieldsAt(nanos, zone), layout, zone);
	},
	'time.add_date': ([time, years, months, days]) => {
		const { nanos, zone } = moment(time);
		const at = fieldsAt(nanos, zone);
		return integer(
			instantOf(
				{
					...at,
					year: at.year + aSmallInteger(years),
					month: at.month + aSmallInteger(months),
					day: at.day + aSmallInteger(days),
				},
				zone,
			),
		);
	},
	'time.diff': ([first, second]) => difference(first, second),
};
