import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSES } from '../../src/model/cause.ts';
import { sources } from './sources.ts';

test('every cause is the subject of some test', () => {
	const tests = sources(['test'], /\.test\.ts$/)
		.filter(({ path }) => !path.startsWith('test/structure/') && !path.startsWith('test/docs/'))
		.map(({ text }) => text)
		.join('\n');
	assert.deepEqual(
		CAUSES.filter(cause => !new RegExp(`['"\`| ]${cause}['"\`| ]`).test(tests)),
		[],
	);
});
