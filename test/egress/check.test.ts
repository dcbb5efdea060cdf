import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeCapabilities } from '../../src/cli/egress/capabilities.ts';
import { resolversOf } from '../../src/cli/egress/ways.ts';
import { AGENT_USER, type Pod, SALLYPORT_USER, WORLD } from '../support/pod.ts';
import { SALLYPORT } from '../support/sallyport.ts';
import { stageCaptured } from './support.ts';

interface Report {
	readonly ok: boolean;
	readonly ways: readonly { readonly way: string; readonly found: string; readonly to?: string }[];
}

const SERVERS = ['--ipv4', WORLD.v4, '--ipv6', WORLD.v6, '--limit', '1s'];

async function check(pod: Pod, user: number, ...options: string[]): Promise<{ status: number | null; report: Report }> {
	const { status, stdout, stderr } = await pod.run(user, [
		SALLYPORT,
		'check',
		'egress',
		'--json',
		...SERVERS,
		...options,
	]);
	assert.notEqual(stdout, '', stderr);
	return { status, report: JSON.parse(stdout) as Report };
}

const foundOf = ({ ways }: Report, way: string): readonly string[] =>
	[...new Set(ways.filter(one => one.way === way).map(({ found }) => found))].sort();

test('check egress says what is open, and what is not', async t => {
	const stage = await stageCaptured(t);
	if (stage === undefined) return;
	const { pod } = stage;

	await t.test("by Sallyport's own user everything is open", async () => {
		const { status, report } = await check(pod, SALLYPORT_USER);
		assert.equal(status, 1);
		assert.equal(report.ok, false);
		for (const way of ['tcp', 'dns-tcp', 'dns-udp', 'quic', 'udp', 'resolver-udp'])
			assert.deepEqual(foundOf(report, way), ['open'], way);
	});

	await t.test('by an agent TCP is captured, and the rest closed', async () => {
		const before = pod.arrivals().length;
		const { status, report } = await check(pod, AGENT_USER);
		assert.equal(status, 0, JSON.stringify(report));
		assert.equal(report.ok, true);
		for (const way of ['tcp', 'dns-tcp', 'resolver-tcp']) assert.deepEqual(foundOf(report, way), ['captured'], way);
		for (const way of ['dns-udp', 'quic', 'udp', 'resolver-udp', 'capabilities'])
			assert.deepEqual(foundOf(report, way), ['closed'], way);
		assert.equal(pod.arrivals().length, before);
	});

	await t.test('name servers that are open count unless they are meant to be', async () => {
		const { status: ruled } = await pod.rules(
			...['--uid', String(SALLYPORT_USER), '--capture', '17406', '--dns', 'resolvers'],
		);
		assert.equal(ruled, 0);
		const own = ['--ipv4', WORLD.other4, '--ipv6', WORLD.other6];
		assert.equal((await check(pod, AGENT_USER, ...own)).status, 1);
		assert.equal((await check(pod, AGENT_USER, ...own, '--resolvers')).status, 0);
	});

	await t.test('for people it says the same in words', async () => {
		const words = [SALLYPORT, 'check', 'egress', '--limit', '1s', '--resolvers'];
		const own = ['--ipv4', WORLD.other4, '--ipv6', WORLD.other6];
		const { status, stdout } = await pod.run(0, [...words, ...own]);
		// Root can lift the rules.
		assert.equal(status, 1);
		assert.match(stdout, /^captured +tcp +50\.0\.0\.9:443 +Sallyport answered$/m);
		assert.match(stdout, /^open +capabilities +this process has .*CAP_NET_ADMIN/m);
		assert.match(stdout, /^1 way is open: nothing keeps the agent from going around Sallyport$/m);
	});
});

test('capabilities that a setuid program could give count, unless nothing can be gained', () => {
	const status = (bounding: string, gain: number): string =>
		`CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t${bounding}\nNoNewPrivs:\t${gain}\n`;
	assert.equal(judgeCapabilities(status('0000000000001000', 0)).found, 'open');
	assert.equal(judgeCapabilities(status('0000000000001000', 1)).found, 'closed');
	assert.equal(judgeCapabilities(status('0000000000000400', 0)).found, 'closed');
});

test('name servers on loopback are no way out', () => {
	const text =
		'# nameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver 10.0.0.10\n nameserver fd00::a\noptions ndots:5\n';
	assert.deepEqual(resolversOf(text), ['10.0.0.10', 'fd00::a']);
});
