import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBulk } from './support-bulk.ts';
import { watchResident } from './support-memory.ts';
import { openStage } from './support-stage.ts';

const SIZE = 1024 ** 3;
/** An eighth of what goes through; pages of the program that come back count too. */
const FLAT = 128 * 1024 ** 2;

test('an answer of a gigabyte goes through at flat memory', async t => {
	const bulk = await startBulk(t);
	const stage = await openStage(t, {
		upstreams: { bulk: { address: bulk.address, hosts: ['bulk.test'], protocol: 'http' } },
	});
	await stage.curl(['-o', '/dev/null', `http://bulk.test:${bulk.port}/${SIZE / 16}`]);
	const before = stage.resident();
	const watch = watchResident(stage.sallyport.pid);
	const call = await stage.curl(
		['-o', '/dev/null', '-w', '%{stderr}%{size_download} bytes', `http://bulk.test:${bulk.port}/${SIZE}`],
		{ limit: 120 },
	);
	watch.stop();
	assert.equal(call.exit, 0, call.error);
	const grown = watch.greatest() - before;
	assert.ok(grown < FLAT, `grew by ${grown} bytes`);
	const outcome = await stage.outcome(2);
	assert.equal(outcome.cause, 'completed');
	assert.equal(outcome['bytes_received'], SIZE);
	await stage.quiet();
});
