import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, mistake, settle, type Terminal, table, visible } from '../../src/cli/terminal.ts';

function memory(): { readonly terminal: Terminal; readonly said: string[] } {
	const said: string[] = [];
	return {
		said,
		terminal: {
			out: text => said.push(text),
			err: text => said.push(text),
			person: false,
			paint: (_colour, text) => text,
		},
	};
}

test('columns are as wide as their widest cell', () => {
	assert.equal(
		table(
			[
				['a', 'long', 'x'],
				['bcd', 'e', 'y z'],
			],
			'  ',
		),
		'  a    long  x\n  bcd  e     y z\n',
	);
	assert.equal(table([]), '');
});

test('a cell is one line of plain text', () => {
	assert.equal(table([['a\nb', '\u001b[31m']]), 'a b  \\u001b[31m\n');
});

test('what would drive a terminal or turn text around is shown instead', () => {
	assert.equal(visible('a\u0007\u009b\u202e\u2066\ufeffb\r\n'), 'a\\u0007\\u009b\\u202e\\u2066\\ufeffb\\u000d\n');
	assert.equal(visible('grüße 漢字 🙂'), 'grüße 漢字 🙂');
});

test('exit statuses: what the body returns, a failure, a mistake, anything else', async t => {
	const before = process.exitCode;
	t.after(() => {
		process.exitCode = before;
	});
	const { terminal, said } = memory();
	const statusOf = async (run: () => number): Promise<unknown> => {
		await settle(terminal, run);
		return process.exitCode;
	};
	assert.equal(await statusOf(() => 0), 0);
	assert.equal(await statusOf(() => 5), 5);
	assert.equal(
		await statusOf(() => {
			throw failure('it broke');
		}),
		1,
	);
	assert.equal(
		await statusOf(() => {
			throw mistake('mend it');
		}),
		2,
	);
	assert.equal(
		await statusOf(() => {
			throw new Error('a bug\u001b');
		}),
		1,
	);
	assert.deepEqual(said, ['error: it broke\n', 'error: mend it\n', 'error: a bug\\u001b\n']);
	process.exitCode = before;
});
