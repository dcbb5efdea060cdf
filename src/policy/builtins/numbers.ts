import { anInteger, aString, BuiltinFailure, integer, type Value } from '../value.ts';
import type { Family } from './contract.ts';

/** Units of measure, and ranges. */

const MAX_RANGE = 100_000n;
const MAX_DIGITS = 64;

const FACTORS: ReadonlyMap<string, bigint> = new Map([
	['', 1n],
	...['k', 'm', 'g', 't', 'p', 'e'].flatMap((letter, index): readonly (readonly [string, bigint])[] => [
		[letter, 1000n ** BigInt(index + 1)],
		[`${letter}i`, 1024n ** BigInt(index + 1)],
	]),
]);

interface Amount {
	/** The amount is `numerator / denominator`. */
	readonly numerator: bigint;
	readonly denominator: bigint;
	readonly unit: string;
}

function amount(text: string): Amount {
	const bare = text.replaceAll('"', '');
	if (bare === '' || bare.includes(' ')) throw new BuiltinFailure('no amount, or a space in it');
	const match = /^([-+]?\d*\.?\d*(?:[eE][-+]?\d+)?)(.*)$/s.exec(bare);
	const digits = match?.[1] ?? '';
	const number = /^([-+]?)(\d*)\.?(\d*)(?:[eE]([-+]?\d+))?$/.exec(digits);
	if (number === null || !/\d/.test(digits)) throw new BuiltinFailure('no amount');
	const [, sign = '', whole = '', fraction = '', exponent = '0'] = number;
	const power = Number(exponent);
	if (whole.length + fraction.length > MAX_DIGITS || Math.abs(power) > MAX_DIGITS)
		throw new Error('an amount has too many digits');
	let numerator = BigInt(whole + fraction === '' ? '0' : whole + fraction);
	let denominator = 10n ** BigInt(fraction.length);
	if (power > 0) numerator *= 10n ** BigInt(power);
	else denominator *= 10n ** BigInt(-power);
	return { numerator: sign === '-' ? -numerator : numerator, denominator, unit: match?.[2] ?? '' };
}

/** `10K`, `5Mi`, `300m`: the suffixes of Kubernetes. `m` is milli, `M` mega. */
function parseUnits(text: string): Value {
	const { numerator, denominator, unit } = amount(text);
	if (unit === 'm') return quotient(numerator, denominator * 1000n);
	const lower = unit.toLowerCase();
	const factor = FACTORS.get(lower);
	if (factor === undefined) throw new BuiltinFailure('unknown unit');
	return quotient(numerator * factor, denominator);
}

/** `10KB`, `5MiB`: whole bytes. */
function parseBytes(text: string): Value {
	const { numerator, denominator, unit } = amount(text);
	const lower = unit.toLowerCase().replace(/b$/, '');
	const factor = FACTORS.get(lower);
	if (factor === undefined) throw new BuiltinFailure('unknown unit');
	return integer((numerator * factor) / denominator);
}

function quotient(numerator: bigint, denominator: bigint): Value {
	if (numerator % denominator === 0n) return integer(numerator / denominator);
	return Number(numerator) / Number(denominator);
}

/** From the first to the last, both taken, up or down by steps. */
function rangeStep(from: bigint, to: bigint, step: bigint): readonly Value[] {
	if (step <= 0n) throw new BuiltinFailure('the step must be positive');
	const distance = to > from ? to - from : from - to;
	if (distance / step > MAX_RANGE) throw new Error(`a range has more than ${MAX_RANGE} numbers`);
	const values: Value[] = [];
	if (from <= to) for (let value = from; value <= to; value += step) values.push(integer(value));
	else for (let value = from; value >= to; value -= step) values.push(integer(value));
	return values;
}

export const NUMBERS: Family = {
	'units.parse': ([text]) => parseUnits(aString(text)),
	'units.parse_bytes': ([text]) => parseBytes(aString(text)),
	'numbers.range_step': ([from, to, step]) => rangeStep(anInteger(from), anInteger(to), anInteger(step)),
};
