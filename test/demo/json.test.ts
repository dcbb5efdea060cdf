import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDemo } from './run.ts';

test('for programs, the demo tells every call and command as a line of JSON', async t => {
	const demo = startDemo(t, ['--json']);
	assert.equal(await demo.ended, 0, demo.stdout() + demo.stderr());
	const events = demo.events();
	const calls = events.filter(({ event }) => event === 'call');
	assert.deepEqual(
		calls.map(({ agent, verdict, cause, came }) => [agent, verdict, cause, came]),
		[
			['researcher', 'allow', undefined, '200'],
			['researcher', 'deny', 'no_rule', '403'],
			['clerk', 'allow', undefined, '201'],
			['clerk', 'deny', 'denied_by_rule', '403'],
			['clerk', 'ask', 'approval_required', '403'],
			['somebody', 'refuse', 'identity_missing', '403'],
			['researcher', 'deny', 'no_rule', '403'],
			['researcher', 'allow', undefined, 'rows'],
			['clerk', 'deny', 'no_rule', 'FATAL 28000'],
			['researcher', 'allow', undefined, '201'],
		],
	);
	assert.deepEqual(
		events.filter(({ event }) => event === 'command').map(({ whole, as_told }) => [whole, as_told]),
		[
			[true, true],
			[false, true],
			[false, true],
		],
	);
	const end = events.at(-1);
	assert.equal(end?.event, 'end');
	assert.equal(end?.['as_told'], true);
	assert.equal(end?.['wrong'], 0);
});
