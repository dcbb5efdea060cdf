import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { AgentPolicy } from '../../src/model/ports.ts';
import { FILL } from '../../src/policy/apart/messages.ts';
import { Thread } from '../../src/policy/apart/thread.ts';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { type Problem, problem } from '../../src/policy/problem.ts';
import { signBundle } from '../../src/policy/sign.ts';
import { type OpenPolicy, openPolicy } from '../../src/policy/source.ts';
import { readTar, type TarEntry, writeTar } from '../../src/policy/tar.ts';
import { clock, compileAny, folder, policyConfig, theOpa } from './support.ts';

/** A bundle that comes while calls are decided is loaded in a thread of its own; the first one is not. */

const AGENT = 'spiffe://example.org/a';
const OLD = 'package sallyport.request\n\nallow if input.agent.path == "/old"\n';
const NEW = `package sallyport.request

allow if data.grants[input.agent.path].crm.read
deny contains "late" if time.clock(time.now_ns())[0] > 22
deny contains "odd" if regex.match("^/agents/9+$", input.agent.path)
allow := false if input.conflict
allow := true if input.conflict
deny contains "much" if count([[x, y] | some x in numbers.range(1, input.n); some y in numbers.range(1, input.n)]) == 1
`;
/** In memory more than the parts that are handed over at once. */
const DATA = JSON.stringify({
	grants: Object.fromEntries(
		Array.from({ length: 20_000 }, (_, index) => [
			`/agents/${index}`,
			{ crm: { read: index % 2 === 0 }, text: 'ä"\n' },
		]),
	),
});

async function archiveOf(t: TestContext, rego: string, data = '{}'): Promise<Buffer> {
	const root = await folder(t, { 'request.rego': rego, 'data.json': data });
	return (await compileAny(await theOpa(), [root])).archive;
}

const changed = (archive: Buffer, change: (entry: TarEntry) => Buffer): Buffer =>
	gzipSync(writeTar(readTar(gunzipSync(archive), { entries: 100 }).map(entry => ({ ...entry, bytes: change(entry) }))));

const keyPair = () =>
	generateKeyPairSync('ec', {
		namedCurve: 'P-256',
		publicKeyEncoding: { type: 'spki', format: 'pem' },
		privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
	});

interface Place {
	readonly path: string;
	readonly policy: OpenPolicy;
	replace(archive: Buffer): Promise<readonly Problem[] | undefined>;
}

interface Settings {
	readonly memory?: number;
	readonly fuel?: number;
	readonly patience?: number;
	readonly verify?: { readonly key: string };
}

async function place(t: TestContext, archive: Buffer, { verify, patience, ...limits }: Settings = {}): Promise<Place> {
	const root = await folder(t, { 'policy.tar.gz': archive });
	const path = join(root, 'policy.tar.gz');
	const bundles = [{ name: 'default', path, ...(verify === undefined ? {} : { verify }) }];
	const config = policyConfig({ ...limits, keep: join(root, 'keep'), bundles });
	const policy = await openPolicy(config, {
		clock,
		environment: process.env,
		watch: false,
		...(patience === undefined ? {} : { patience }),
	});
	t.after(() => policy.close());
	return {
		path,
		policy,
		replace: async next => {
			await writeFile(`${path}.next`, next);
			await rename(`${path}.next`, path);
			const reloaded = await policy.reload();
			return reloaded.ok ? undefined : reloaded.problems.map(problem => ({ ...problem, file: '' }));
		},
	};
}

const judge = ({ policy }: Place): AgentPolicy => {
	const found = policy.current()?.forAgent(AGENT);
	assert.ok(found);
	return found;
};

test('what was loaded apart judges as what was loaded in place, after failures too', { timeout: 60_000 }, async t => {
	const archive = await archiveOf(t, NEW, DATA);
	const inPlace = await place(t, archive);
	const apart = await place(t, await archiveOf(t, OLD));
	assert.equal(judge(apart).evaluate('request', '{"agent":{"path":"/old"}}').verdict, 'allow');
	assert.equal(await apart.replace(archive), undefined);
	const statusOf = ({ policy }: Place) => policy.status().bundles.map(({ memory, revision }) => ({ memory, revision }));
	assert.deepEqual(statusOf(apart), statusOf(inPlace));
	assert.deepEqual(judge(apart).reads('request').paths, judge(inPlace).reads('request').paths);
	const inputs = ['/agents/0', '/agents/1', '/agents/9', '/agents/19998', '/agents/20000', '/old'].flatMap(path =>
		[
			{},
			{ conflict: true },
			{ time: '2026-01-01T23:00:00Z' },
			// Once and again: memory grows, the evaluation fails for want of it, and the instance is made anew.
			{ n: 100 },
			{ n: 3000 },
			{ n: 100 },
		].map(more => JSON.stringify({ time: '2026-01-01T12:00:00Z', agent: { path }, ...more })),
	);
	const seen = new Set<string | undefined>();
	for (const input of inputs) {
		const [one, other] = [apart, inPlace].map(at => {
			const { verdict, cause, reasons, error } = judge(at).evaluate('request', input);
			seen.add(cause);
			return { verdict, cause, reasons, error };
		});
		assert.deepEqual(one, other, input);
	}
	for (const cause of [undefined, 'no_rule', 'denied_by_rule', 'policy_error']) assert.ok(seen.has(cause), cause);
});

test('what is refused apart is refused in the same words as in place, and what was in force stays', {
	timeout: 120_000,
}, async t => {
	const good = await archiveOf(t, OLD);
	const large = await archiveOf(t, NEW, DATA);
	const signer = keyPair();
	const verify = { key: join(await folder(t, { 'key.pem': signer.publicKey }), 'key.pem') };
	const signed = await signBundle(good, { key: signer.privateKey });
	const wasm = (bytes: Buffer) => changed(good, entry => (entry.path === 'policy.wasm' ? bytes : entry.bytes));
	const data = (text: string) => changed(good, entry => (entry.path === 'data.json' ? Buffer.from(text) : entry.bytes));
	const manifest = (change: (text: string) => string) =>
		changed(good, ({ path, bytes }) => (path === '.manifest' ? Buffer.from(change(bytes.toString())) : bytes));
	const bad: readonly (readonly [string, Buffer, Settings, RegExp])[] = [
		['no archive', Buffer.from('hello'), {}, /not a policy bundle/],
		['own data', data('{"s\\u0061llyport":{}}'), {}, /data under `sallyport`/],
		['no JSON', data('{"a":}'), {}, /is not JSON/],
		['deep data', data(`{"a":${'['.repeat(2000)}${']'.repeat(2000)}}`), {}, /nested more than 2000 deep/],
		['too much data', large, { memory: 4 * 1024 * 1024 }, /within 4194304 bytes of memory/],
		['no module', wasm(Buffer.from('hello')), {}, /not a WebAssembly module/],
		['another module', wasm(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), {}, /ABI/],
		['no entry point', manifest(text => text.replaceAll('/contract/request', '/contract/connect')), {}, /entry point/],
		['no signature', good, { verify }, /is not signed/],
		['another signature', await signBundle(good, { key: keyPair().privateKey }), { verify }, /signature is not good/],
	];
	for (const [what, archive, settings, words] of bad) {
		const first = await place(t, archive, settings);
		const inPlace = first.policy.status().problems?.map(problem => ({ ...problem, file: '' }));
		assert.match(inPlace?.[0]?.message ?? '', words, what);
		const right = settings.verify === undefined ? good : signed;
		const later = await place(t, right, settings);
		const before = later.policy.current();
		assert.ok(before, what);
		assert.deepEqual(await later.replace(archive), inPlace, what);
		assert.equal(later.policy.current(), before, what);
		assert.equal(await later.replace(right), undefined, what);
	}
});

/** A module whose start function is `loop br 0 end`. */
const FOREVER = Buffer.from([
	...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
	...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00],
	...[0x03, 0x02, 0x01, 0x00],
	...[0x08, 0x01, 0x00],
	...[0x0a, 0x09, 0x01, 0x07, 0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b],
]);

test('a bundle whose loading never ends is refused, calls go on, and the next good one is taken', {
	timeout: 60_000,
}, async t => {
	const good = await archiveOf(t, OLD);
	const at = await place(t, good, { fuel: 0, patience: 3_000 });
	const before = at.policy.current();
	let turns = 0;
	const turning = setInterval(() => turns++, 10);
	t.after(() => clearInterval(turning));
	const refused = await at.replace(changed(good, entry => (entry.path === 'policy.wasm' ? FOREVER : entry.bytes)));
	assert.match(refused?.[0]?.message ?? '', /loading took longer than 3 s/);
	assert.ok(turns > 10, 'the loop went on');
	assert.equal(at.policy.current(), before);
	assert.equal(await at.replace(await archiveOf(t, NEW)), undefined);
	assert.notEqual(at.policy.current(), before);
});

test('closing ends what is being loaded', { timeout: 60_000 }, async t => {
	const good = await archiveOf(t, OLD);
	const at = await place(t, good, { fuel: 0 });
	const running = at.replace(changed(good, entry => (entry.path === 'policy.wasm' ? FOREVER : entry.bytes)));
	const timer = setTimeout(() => at.policy.close(), 300);
	t.after(() => clearTimeout(timer));
	assert.match((await running)?.[0]?.message ?? '', /stopping/);
});

test('a thread that ends while its answer is read is not waited for', { timeout: 60_000 }, async t => {
	const archive = await archiveOf(t, NEW, DATA);
	const limits = { memory: 64 * 1024 * 1024, fuel: 1_000_000, builtins: new Set(BUILTINS.keys()) };
	const thread = new Thread({ paths: ['here'], archive, environment: {}, ...limits }, 'here');
	const ended = problem('it is over', 'here');
	t.after(() => thread.end(ended));
	assert.equal((await thread.next()).kind, 'prepared');
	thread.end(ended);
	thread.ask(FILL);
	await assert.rejects(thread.next(), ended);
});
