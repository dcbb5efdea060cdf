import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeWorkspace } from '../support/workspace.ts';
import { sallyport } from './run.ts';

const TOKEN = 'x'.repeat(43);

/** A configuration with a proxy for `ann`, whose token is there although nothing runs. */
function configured(t: TestContext): string {
	const workspace = makeWorkspace(t);
	workspace.write('tokens/ann/token', TOKEN);
	return workspace.write(
		'sallyport.yaml',
		`identity:
  trust_domain: example.org
  svid: { files: { certificate: certs/sallyport.pem, key: certs/sallyport.key, trust_bundle: certs/ca.pem } }
policy: { files: [policies] }
listeners:
  - { name: egress, address: 127.0.0.1:17402, serves: http_proxy, authenticate: { token: { directory: tokens, agents: ["spiffe://example.org/agents/ann"] } } }
upstreams:
  db: { address: db.internal:5432, protocol: postgres, credentials: [{ agents: ["spiffe://example.org/agents/*"], username: app, password: { env: NOBODY_SET_THIS } }] }
`,
	);
}

const as = (file: string, ...words: readonly string[]): string[] => [
	'exec',
	'--agent',
	'ann',
	'--config',
	file,
	'--',
	...words,
];

test('the program gets its environment, without what was inherited and would lead around', async t => {
	const file = configured(t);
	const program =
		'console.log(JSON.stringify([process.env.HTTPS_PROXY, process.env.NO_PROXY ?? null, process.env.SALLYPORT_AGENT, process.env.KEPT, process.argv.slice(1)]))';
	const { code, out, err } = await sallyport(as(file, process.execPath, '-e', program, '--', '-x', 'a b'), {
		env: { NO_PROXY: '.corp', KEPT: 'yes', HTTPS_PROXY: 'http://corp:3128' },
	});
	assert.equal(err, '');
	assert.equal(code, 0);
	assert.deepEqual(JSON.parse(out), [
		`http://ann:${TOKEN}@127.0.0.1:17402`,
		null,
		'spiffe://example.org/agents/ann',
		'yes',
		['-x', 'a b'],
	]);
});

test("the exit status is the program's", async t => {
	const { code, signal } = await sallyport(as(configured(t), 'sh', '-c', 'exit 7'));
	assert.deepEqual({ code, signal }, { code: 7, signal: null });
});

test('a program that a signal ended ends `exec` by the same', async t => {
	const { code, signal } = await sallyport(as(configured(t), 'sh', '-c', 'kill -TERM $$'));
	assert.deepEqual({ code, signal }, { code: null, signal: 'SIGTERM' });
});

for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const) {
	test(`${name} reaches the program, which decides what to do`, async t => {
		const short = name.slice(3);
		const { code, out } = await sallyport(
			as(
				configured(t),
				'sh',
				'-c',
				`trap 'echo got ${short}; exit 5' ${short}; echo ready; while :; do sleep 0.05; done`,
			),
			{
				onOutput: (pid, text) => {
					if (text === 'ready\n') process.kill(pid, name);
				},
			},
		);
		assert.equal(out, `ready\ngot ${short}\n`);
		assert.equal(code, 5);
	});
}

test('SIGPIPE is as it always is in the program', async t => {
	const { out } = await sallyport(as(configured(t), 'sh', '-c', 'grep SigIgn /proc/self/status'));
	assert.match(out, /^SigIgn:\s+0{16}$/m);
});

test('no such program: 127; one that cannot be run: 126', async t => {
	const file = configured(t);
	const none = await sallyport(as(file, 'no-such-program-at-all'));
	assert.equal(none.code, 127);
	assert.match(none.err, /^error: no-such-program-at-all cannot be run: there is no such program$/m);
	assert.equal((await sallyport(as(file, '/etc/passwd'))).code, 126);
});

test("an agent without a way out, a bad name, no program: the caller's mistakes", async t => {
	const file = configured(t);
	const nobody = await sallyport(['exec', '--agent', 'bob', '--config', file, '--', 'true']);
	assert.equal(nobody.code, 2);
	assert.match(nobody.err, /spiffe:\/\/example\.org\/agents\/bob has no way out/);
	assert.match(nobody.err, /add it to `listeners\[0\]\.authenticate\.token\.agents`/);
	assert.equal((await sallyport(['exec', '--agent', 'a b', '--config', file, '--', 'true'])).code, 2);
	assert.equal((await sallyport(['exec', '--agent', 'ann', '--config', file])).code, 2);
	assert.equal((await sallyport(['exec', '--agent', 'ann', '--config', `${file}.none`, '--', 'true'])).code, 2);
});

test('an agent whose HTTP calls no proxy takes: nothing is run, unless only doors are asked for', async t => {
	const file = configured(t);
	const workspace = dirname(file);
	const text = readFileSync(file, 'utf8').replace(
		'listeners:\n',
		`listeners:
  - { name: db, address: 127.0.0.1:17432, upstream: db, env: DATABASE_URL, authenticate: { token: { directory: tokens, agents: ["spiffe://example.org/agents/eve"] } } }
`,
	);
	writeFileSync(file, text);
	mkdirSync(join(workspace, 'tokens/eve'));
	writeFileSync(join(workspace, 'tokens/eve/token'), TOKEN);
	const program = [
		process.execPath,
		'-e',
		'console.log(JSON.stringify([process.env.DATABASE_URL, process.env.HTTP_PROXY, process.env.https_proxy]))',
	];
	const env = { HTTP_PROXY: 'http://corp:3128', https_proxy: 'http://corp:3128' };
	const refused = await sallyport(['exec', '--agent', 'eve', '--config', file, '--', ...program], { env });
	assert.deepEqual([refused.code, refused.out], [2, '']);
	assert.match(refused.err, /not run.*add it to `listeners\[1\]\.authenticate\.token\.agents`/);
	const doors = await sallyport(['exec', '--agent', 'eve', '--doors-only', '--config', file, '--', ...program], {
		env,
	});
	assert.equal(doors.code, 0, doors.err);
	assert.deepEqual(JSON.parse(doors.out), [`postgres://eve:${TOKEN}@127.0.0.1:17432/?sslmode=disable`, null, null]);
	assert.match(doors.err, /HTTP calls do not go through Sallyport/);
	const listed = await sallyport(['exec', '--agent', 'ann', '--config', file, '--', 'true']);
	assert.equal(listed.code, 0, listed.err);
});
