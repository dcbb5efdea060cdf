import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalizeSql } from '../../src/audit/sql.ts';

const CASES: readonly (readonly [string, string])[] = [
	["SELECT * FROM t WHERE a = 'x' AND b = 42", 'SELECT * FROM t WHERE a = ? AND b = ?'],
	["select 'it''s', ''", 'select ?, ?'],
	["select E'a\\'b', e'\\\\'", 'select ?, ?'],
	['select U&\'d\\0061t\', u&"d\\0061t" from x', 'select ?, u&"d\\0061t" from x'],
	["select B'1010', X'1F', N'n'", 'select ?, ?, ?'],
	["select $$it's$$, $tag$ $$ x $other$ $tag$, $1", 'select ?, ?, $1'],
	['select "we""ird  name" from "T" -- \'secret\'\nwhere 1=1', 'select "we""ird  name" from "T" where ?=?'],
	["select /* a /* nested 'x' */ b */ 1", 'select ?'],
	['select 1.5, .5, 1e10, 1.5E-3, 0x1F, 1_000, t1.c2', 'select ?, ?, ?, ?, ?, ?, t1.c2'],
	['select -5, 5::int, $12::text', 'select -?, ?::int, $12::text'],
	['  select\t\n 1 ;  select 2;', 'select ? ; select ?;'],
	["date'2020-01-01' || interval '1 day'", 'date? || interval ?'],
	["select 'naïve', naïve", 'select ?, naïve'],
	["insert into t values ('a', 1, null, true)", 'insert into t values (?, ?, null, true)'],
	['select 12secret', 'select ?'],
	['', ''],
	// What cannot be read in one way ends there.
	["select 'unterminated", 'select ? …'],
	['select /* unterminated', 'select …'],
	['select $a$ unterminated', 'select ? …'],
	['select "unterminated', 'select ? …'],
	["select 'a\\' or password = 'hunter2'", 'select ? …'],
];

for (const [sql, expected] of CASES) {
	test(`normalizes ${JSON.stringify(sql)}`, () => assert.equal(normalizeSql(sql), expected));
}

test('no literal ever shows, wherever it stands', () => {
	const quoted = (secret: string): fc.Arbitrary<string> =>
		fc.constantFrom(
			`'${secret}'`,
			`'a''${secret}'`,
			`E'\\'${secret}'`,
			`$$${secret}$$`,
			`$q$'${secret}$q$`,
			`U&'${secret}'`,
			`-- ${secret}\n`,
			`/* /* */ ${secret} */`,
		);
	const noise = fc.constantFrom(
		'select ',
		' from "t" ',
		', ',
		' = ',
		'1 ',
		"'x' ",
		'$1 ',
		' -- c\n',
		'/* c */',
		' e ',
		'(',
		')',
		'é ',
		'"a""b" ',
	);
	fc.assert(
		fc.property(
			fc.array(noise, { maxLength: 8 }),
			quoted('hunter2'),
			fc.array(noise, { maxLength: 8 }),
			(before, literal, after) => {
				// A space keeps what stands before from sticking to the literal.
				const sql = `${before.join('')} ${literal} ${after.join('')}`;
				return !normalizeSql(sql).includes('hunter2');
			},
		),
		{ numRuns: 500 },
	);
});

test('any text at all is read to its end', () => {
	fc.assert(
		fc.property(
			fc.string({
				unit: fc.constantFrom("'", '"', '$', '\\', '/', '*', '-', '\n', 'e', 'E', 'U', '&', '1', '.', 'a', ' '),
			}),
			sql => {
				assert.equal(typeof normalizeSql(sql), 'string');
			},
		),
		{ numRuns: 1000 },
	);
});
