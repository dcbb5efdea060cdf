import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sallyport } from './run.ts';

test('`help` knows commands, and commands of commands, and nothing else', async () => {
	const policy = await sallyport(['help', 'policy']);
	assert.equal(policy.code, 0);
	assert.match(policy.out, /^Usage: sallyport policy [\s\S]*\nCommands:\n {2}check /);
	const check = await sallyport(['help', 'audit', 'verify']);
	assert.equal(check.out, (await sallyport(['audit', 'verify', '--help'])).out);
	assert.match((await sallyport(['help'])).out, /\nCommands:\n {2}run /);
	for (const words of [['help', 'nonsense'], ['help', 'policy', 'nonsense'], ['nonsense']]) {
		const { code, out, err } = await sallyport(words);
		assert.deepEqual([code, out], [2, ''], words.join(' '));
		assert.match(err, /unknown command 'nonsense'/);
	}
});

test('every --help has examples, ends alike, and says which options must be given', async () => {
	for (const words of [
		[],
		['run'],
		['exec'],
		['audit', 'tail'],
		['audit', 'query'],
		['audit', 'verify'],
		['policy', 'eval'],
		['status'],
	]) {
		const { out } = await sallyport([...words, '--help']);
		assert.match(out, /\n\nExamples:\n(?: {2}\S.*\n)+$/, words.join(' '));
	}
	assert.match((await sallyport(['exec', '--help'])).out, /--agent <name> [\s\S]*?\(required\)/);
});
