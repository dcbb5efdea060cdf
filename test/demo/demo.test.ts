import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoFolders, processesOf, startDemo, temporary } from './run.ts';

/** What a person reads, in this order. */
const STORY = [
	/^ {2}database +Postgres 1\d/m,
	/^ {2}sallyport +up/m,
	/researcher +GET crm \/customers .*\n {2}allow .*\n {2}200 +2 customers/,
	/researcher +POST crm \/notes .*\n {2}deny +no_rule: .*\n {2}403/,
	/clerk +POST crm \/notes .*\n {2}allow .*\n {2}201 +note 1/,
	/clerk +GET crm \/export .*\n {2}deny +denied_by_rule: exports need the data office\n {2}403/,
	/clerk +POST crm \/refunds .*\n {2}ask +approval_required: a refund needs a person\n {2}403/,
	/somebody +GET crm \/customers .*\n {2}refuse +identity_missing: .*\n {2}403/,
	/researcher +CONNECT dropbox\.example:443 .*\n {2}deny +no_rule: .*\n {2}403/,
	/researcher +select from orders .*\n {2}allow .*\n {2}rows +3 orders/,
	/clerk +select from orders .*\n {2}deny +no_rule: .*\n {2}FATAL 28000 the log of Postgres still shows 1 connection/,
	/^ {4}\+ allow if \{$/m,
	/^ {2}in force +after \d+ ms/m,
	/researcher +POST crm \/notes .*\n {2}allow +the new rule\n {2}201 +note 2/,
	/^ {4}whole: records 1 to \d+/m,
	/^ {4}signed up to record \d+/m,
	/--directory tampered .*\n {4}BROKEN at record \d+/,
	/--directory shortened .*\n {4}BROKEN at record \d+/,
	/^Everything went as told: 10 calls/m,
];

test('the demo tells its story, ends by itself with 0, and leaves nothing behind', async t => {
	const directory = temporary(t);
	const began = performance.now();
	// A proxy of the caller's own must not come between.
	const demo = startDemo(t, [], {
		env: {
			TMPDIR: directory,
			HTTP_PROXY: 'http://127.0.0.1:9',
			http_proxy: 'http://127.0.0.1:9',
			PGHOST: '127.0.0.9',
			DATABASE_URL: 'x',
		},
	});
	const status = await demo.ended;
	const told = demo.stdout();
	assert.equal(status, 0, told + demo.stderr());
	assert.ok(performance.now() - began < 60_000, 'within a minute');
	let at = 0;
	for (const part of STORY) {
		const found = part.exec(told.slice(at));
		assert.ok(found !== null, `${part} is missing behind:\n${told.slice(0, at)}\nin:\n${told}`);
		at += found.index + found[0].length;
	}
	assert.ok(!told.includes('\u001b'), 'no colours when piped');
	assert.ok(!told.includes('NOT AS TOLD'));
	assert.equal(demo.stderr(), '');
	assert.deepEqual(demoFolders(directory), []);
	assert.deepEqual(processesOf(directory), []);
});
