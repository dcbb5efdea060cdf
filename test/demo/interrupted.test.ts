import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoFolders, processesOf, startDemo, temporary } from './run.ts';

for (const [signal, status] of [
	['SIGINT', 130],
	['SIGTERM', 143],
] as const) {
	test(`${signal} in the middle ends everything, with status ${status}`, async t => {
		const directory = temporary(t);
		const demo = startDemo(t, ['--json'], { env: { TMPDIR: directory } });
		await demo.event(signal === 'SIGINT' ? 'part' : 'call');
		demo.child.kill(signal);
		// As npm does, which hands on what the terminal sent already.
		demo.child.kill(signal);
		assert.equal(await demo.ended, status, demo.stderr());
		assert.deepEqual(demoFolders(directory), []);
		assert.deepEqual(processesOf(directory), []);
	});
}
