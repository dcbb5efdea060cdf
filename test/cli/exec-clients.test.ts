import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { freePort, sallyport } from './run.ts';

/** Programs that know nothing of Sallyport, and what they fetch. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
	curl: ['curl', '-q', '-sS', '--fail', '--max-time', '20'],
	'python urllib': [
		'python3',
		'-c',
		'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())',
	],
	'node http': [
		process.execPath,
		'-e',
		"require('http').get(process.argv[1], r => { process.exitCode = r.statusCode === 200 ? 0 : 1; r.pipe(process.stdout) })",
	],
};

/** Those that take a password in an address; urllib sends it as the host. */
const DOORS: ReadonlySet<string> = new Set(['curl', 'node http']);

test("unmodified programs go through proxy and door, each call under the agent's own identity", async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const [proxy, door] = [await freePort(), await freePort()];
	const authenticate = () => ({ token: { directory: 'tokens', agents: ['spiffe://example.org/agents/ann'] } });
	const running = await startSallyport(t, workspace, {
		config: {
			listeners: [
				{ name: 'egress', address: `127.0.0.1:${proxy}`, serves: 'http_proxy', authenticate: authenticate() },
				{ name: 'tool', address: `127.0.0.1:${door}`, upstream: 'tool', env: 'TOOL_URL', authenticate: authenticate() },
			],
			upstreams: { tool: { address: upstream.address, hosts: ['tool.internal'], protocol: 'http' } },
		},
		policy: policyOf('allow if input.agent.path == "/agents/ann"'),
	});
	const exec = (words: readonly string[]) =>
		sallyport(['exec', '--agent', 'ann', '--config', workspace.path('sallyport.yaml'), '--', ...words]);
	for (const [name, words] of Object.entries(PROGRAMS)) {
		// The whole URL is only known in the environment: a shell puts it in.
		for (const [way, url] of [
			['proxy', `http://tool.internal:${upstream.port}/${name.replaceAll(' ', '-')}`],
			['door', '$TOOL_URL/door'],
		] as const) {
			if (way === 'door' && !DOORS.has(name)) continue;
			const before = upstream.seen.length;
			const { code, out, err } = await exec(['sh', '-c', `url="${url}"; "$@" "$url"`, 'sh', ...words]);
			assert.equal(code, 0, `${name} through the ${way}: ${err}`);
			assert.match(out, /"method":"GET"/);
			assert.equal(upstream.seen.length, before + 1, `${name} through the ${way}`);
			const seen = upstream.seen.at(-1);
			assert.equal(seen?.header('authorization'), undefined, 'the token goes no further');
			assert.equal(seen?.header('proxy-authorization'), undefined);
		}
	}
	const decided = running.records().filter(({ type }) => type === 'decision');
	assert.equal(decided.length, upstream.seen.length);
	assert.ok(decided.every(({ call }) => call?.['agent'] === 'spiffe://example.org/agents/ann'));

	// Node's fetch opens a tunnel for http:// too, which an upstream whose calls are inspected does not get.
	const before = upstream.connections();
	const fetched = await exec([
		process.execPath,
		'-e',
		'fetch(process.argv[1])',
		`http://tool.internal:${upstream.port}/`,
	]);
	assert.notEqual(fetched.code, 0);
	assert.equal(upstream.connections(), before);
	await running.waitForRecord(({ cause }) => cause === 'tunnel_to_inspected', 'the tunnel that was refused');
});
