import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSES } from '../../src/model/cause.ts';
import { sources } from './sources.ts';

/** A cause stands in quotes where it is given or expected. */
const names = (text: string, cause: string): boolean => new RegExp(`['"\`| ]${cause}['"\`| ]`).test(text);

test('every cause that the code gives is the subject of some test', () => {
	const code = sources(['src'], /\.ts$/)
		.filter(({ path }) => path !== 'src/model/cause.ts')
		.map(({ text }) => text)
		.join('\n');
	const tests = sources(['test'], /\.test\.ts$/)
		.filter(({ path }) => !path.startsWith('test/structure/') && !path.startsWith('test/docs/'))
		.map(({ text }) => text)
		.join('\n');
	assert.deepEqual(
		CAUSES.filter(cause => names(code, cause) && !names(tests, cause)),
		[],
	);
});
