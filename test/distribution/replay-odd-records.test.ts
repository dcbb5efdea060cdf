import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadRecord } from '../../src/audit/read-record.ts';
import { Changes } from '../../src/cli/replay/changes.ts';
import { Judge } from '../../src/cli/replay/judge.ts';
import { agentPolicy } from '../../src/policy/set.ts';

/** Without bundles every request is refused: so what was allowed changes. */
const NOBODY = agentPolicy([]);
const DEEP: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);
/** Neither a text nor a number. */
const ODD = { toString: 1, valueOf: 1 };

test('a record that makes no sense is undetermined, and the others are judged', () => {
	const good = {
		verdict: 'allow',
		path: 'sallyport/request',
		input: {},
		reads: [],
		call: { agent: 'spiffe://example.org/a', target: { host: 'a.test', port: 80 } },
	};
	const judge = new Judge(() => NOBODY);
	const changes = new Changes([]);
	const odd: readonly ReadRecord[] = [
		{ ...good, input: { deep: DEEP } },
		{ ...good, reads: DEEP },
		{ ...good, reads: [ODD] },
		{ ...good, masked: [ODD] },
	];
	for (const record of [...odd, good, { ...good, call: { target: { host: ODD, port: ODD } } }])
		changes.add(record, judge.judge(record));
	assert.deepEqual(changes.reasons(), [{ why: 'the record cannot be read', count: odd.length }]);
	assert.deepEqual(
		changes.changes().map(({ target }) => target),
		['a.test:80', '?:?'],
	);
});
