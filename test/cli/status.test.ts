import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Control } from '../../src/admin/control.ts';
import { nobodyRevoked } from '../admin/fixture.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { sallyport } from './run.ts';

/** A control socket that answers `GET /v1/status` with this. */
async function answering(t: TestContext, status: object): Promise<string> {
	const path = makeWorkspace(t).path('control.sock');
	const control = new Control({
		...nobodyRevoked,
		config: { socket: path },
		identity: {
			problem: () => undefined,
			serverTlsOptions: () => ({}),
			secureContextOptions: () => ({}),
			identifyTls: () => ({ cause: 'identity_missing' }),
		},
		recorder: { control: () => {}, refusedConnection: () => {} },
		status: () => status,
		reload: async () => ({ problems: [], restart: [] }),
	});
	t.after(() => control.close());
	await control.listen();
	return path;
}

test('the status of a running Sallyport, readable and as JSON', async t => {
	const workspace = makeWorkspace(t);
	const running = await startSallyport(t, workspace);
	const shown = await sallyport(['status'], { cwd: workspace.directory });
	assert.equal(shown.code, 0, shown.err);
	assert.match(shown.out, /^ready {2}sallyport \d+\.\d+\.\d+, process \d+, up \d+ s, 0 calls open$/m);
	assert.match(shown.out, /^identity {2}spiffe:\/\/example\.org\/sallyport$/m);
	assert.match(shown.out, /^ +default {2}[0-9a-f]{12} {2}since /m);
	assert.match(shown.out, new RegExp(`^ +egress {2}${running.address('egress')} {2}0 open$`, 'm'));
	assert.ok(!shown.out.includes('\u001b'), 'no colours into a pipe');

	const { code, out } = await sallyport(['status', '--json', '--socket', workspace.path('control.sock')]);
	assert.equal(code, 0);
	const status = JSON.parse(out) as Record<string, Record<string, unknown>>;
	assert.equal(status.ready, true);
	assert.equal(status.config?.file, workspace.path('sallyport.yaml'));
	assert.match(String(status.identity?.not_after), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
	assert.equal(status.policy?.mode, 'enforce');
	assert.doesNotMatch(out, /PRIVATE KEY/);
	for (const line of out.matchAll(/"([a-z]+[A-Z]\w*)":/g)) assert.fail(`${line[1]} is no snake_case`);
	await running.waitForRecord(
		({ type, action, operator }) =>
			type === 'control' && action === 'status' && operator === `uid:${process.geteuid?.()}`,
		'the use of status',
	);
});

test('one that serves no calls: why, and status 1', async t => {
	const workspace = makeWorkspace(t);
	await startSallyport(t, workspace, {
		policy: { 'broken.rego': 'package sallyport.request\n\nallow if nonsense(1)\n' },
	});
	const { code, out } = await sallyport(['status'], { cwd: workspace.directory });
	assert.equal(code, 1);
	assert.match(out, /^not ready /m);
	assert.match(out, /^ {2}policy: no policy was ever in force/m);
	assert.match(out, /broken\.rego:3: /);
});

test('a configuration that was not taken shows until it is mended', async t => {
	const workspace = makeWorkspace(t);
	await startSallyport(t, workspace, { policy: policyOf('allow := true') });
	const file = workspace.path('sallyport.yaml');
	const good = readFileSync(file, 'utf8');
	writeFileSync(file, `${good}polices: {}\n`);
	const refused = await sallyport(['reload'], { cwd: workspace.directory });
	assert.equal(refused.code, 1);
	assert.match(
		refused.out,
		/^not taken: what was in force before still is\n {2}config: \S+sallyport\.yaml:\d+:\d+: polices: is not a key/,
	);
	assert.match((await sallyport(['status'], { cwd: workspace.directory })).out, /! .*polices: is not a key/);
	writeFileSync(file, good.replace('certs/sallyport.pem', 'certs/none.pem'));
	const lost = await sallyport(['reload'], { cwd: workspace.directory });
	assert.equal(lost.code, 1);
	assert.match(lost.out, /config: \S+sallyport\.yaml:\d+:\d+: identity\.svid\.files\.certificate: there is no file /);
	writeFileSync(file, `${good}labels: { cluster: other }\n`);
	const taken = await sallyport(['reload', '--json'], { cwd: workspace.directory });
	assert.equal(taken.code, 0);
	assert.deepEqual(JSON.parse(taken.out), { taken: true, problems: [], restart: ['labels'] });
	const after = await sallyport(['status'], { cwd: workspace.directory });
	assert.doesNotMatch(after.out, /polices/);
	assert.match(after.out, /needs a restart: labels/);
});

test('a policy and an SVID that a reload did not take are told by it', async t => {
	const workspace = makeWorkspace(t);
	await startSallyport(t, workspace);
	workspace.write('policies/request.rego', 'package sallyport.request\n\nallow if {\n');
	workspace.write('certs/sallyport.key', 'no key');
	const { code, out } = await sallyport(['reload', '--json'], { cwd: workspace.directory });
	assert.equal(code, 1);
	const { problems } = JSON.parse(out) as { problems: { part: string; file?: string; message: string }[] };
	assert.deepEqual([...new Set(problems.map(({ part }) => part))].sort(), ['identity', 'policy']);
	assert.match(problems.find(({ part }) => part === 'policy')?.file ?? '', /request\.rego$/);
	assert.match(problems.find(({ part }) => part === 'identity')?.message ?? '', /^key: /);
});

test('an operator asks over the address; an agent may not', async t => {
	const workspace = makeWorkspace(t);
	const running = await startSallyport(t, workspace, {
		config: { admin: { control: { address: '127.0.0.1:0', operators: ['spiffe://example.org/operators/*'] } } },
	});
	const as = (pair: { readonly certificate: string; readonly key: string }) =>
		sallyport([
			'status',
			'--json',
			'--address',
			running.address('admin.control'),
			'--cert',
			pair.certificate,
			'--key',
			pair.key,
			'--ca',
			workspace.ca,
		]);
	const ann = await as(workspace.issue('ann', 'spiffe://example.org/operators/ann'));
	assert.equal(ann.code, 0, ann.err);
	assert.equal((JSON.parse(ann.out) as { ready: boolean }).ready, true);
	const agent = await as(workspace.agent('researcher'));
	assert.equal(agent.code, 1);
	assert.match(agent.err, /matches none of `admin\.control\.operators`/);
	await running.waitForRecord(
		({ type, listener, cause }) => type === 'session' && listener === 'admin.control' && cause === 'listener_forbidden',
		'the agent was refused',
	);
});

test('what answers cannot drive the terminal, and what is not Sallyport is said so', async t => {
	const evil = '\u001b[2J\u202eevil';
	const socket = await answering(t, {
		ready: true,
		not_ready: [],
		draining: false,
		version: evil,
		node: '',
		pid: 1,
		started: '2026-01-01T00:00:00Z',
		calls_open: 0,
		config: { file: evil },
		identity: { id: evil, not_after: '2026-01-01T00:00:00Z', problem: evil },
		policy: { mode: 'enforce', bundles: [{ name: evil, revision: evil, activated: '' }] },
		listeners: [{ name: evil, address: evil, connections: 0 }],
		audit: {
			directory: evil,
			chain: '',
			seq: 1,
			bytes: 1,
			limit: 1,
			lost: {},
			unknown: 0,
			sinks: [{ sink: evil, behind: 0, error: evil }],
		},
	});
	const { code, out } = await sallyport(['status', '--socket', socket]);
	assert.equal(code, 0);
	assert.ok(!out.includes('\u001b') && !out.includes('\u202e'));
	const other = await sallyport(['status', '--socket', await answering(t, { hello: 'world' })]);
	assert.equal(other.code, 1);
	assert.match(other.err, /is not this version of Sallyport/);
});

test("nobody there is a failure; not saying where is the caller's mistake", async t => {
	const { directory, path } = makeWorkspace(t);
	const nobody = await sallyport(['status', '--socket', path('none.sock')]);
	assert.equal(nobody.code, 1);
	assert.match(nobody.err, /nobody listens on .*none\.sock: is Sallyport running\?/);
	for (const words of [
		['status'],
		['reload', '--config', 'none.yaml'],
		['status', '--address', 'nowhere'],
		['status', '--address', '127.0.0.1:1'],
		['status', '--what'],
	]) {
		assert.equal((await sallyport(words, { cwd: directory })).code, 2, words.join(' '));
	}
});
