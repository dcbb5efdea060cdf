import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, GOOD, problemsOf } from './fixture.ts';

const withMode = (mode: string): string => GOOD.replace('127.0.0.1:17401', `unix:egress.sock\n    mode: ${mode}`);

test('a mode is octal, however it is written', () => {
	for (const text of ['0o440', '"0440"', '"0o440"', "'440'", '{ env: MODE }'])
		assert.equal(configOf(withMode(text), { MODE: '0440' }).listeners[0]?.mode, 0o440, text);
	assert.equal(configOf(GOOD).listeners[0]?.mode, 0o660);
});

test('a number that YAML does not read as octal is refused, with the one that was meant', () => {
	for (const text of ['0440', '440'])
		assert.deepEqual(problemsOf(withMode(text)), [
			`:10:11  listeners[0].mode: ${text} is no octal number in YAML: one is written 0o440`,
		]);
	// The decimal spelling of a good mode, and what is no mode at all.
	for (const text of ['288', '0x120', '440.0'])
		assert.match(problemsOf(withMode(text))[0] ?? '', /is no octal number in YAML: one is written 0o/, text);
	for (const text of ['0o1777', '"999"', '"rw-r-----"', 'true'])
		assert.match(problemsOf(withMode(text))[0] ?? '', /^:10:11 {2}listeners\[0\]\.mode: /, text);
});
