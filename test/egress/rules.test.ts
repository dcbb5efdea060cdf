import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AGENT_USER, makePod, type Pod, podMissing, runScript, SALLYPORT_USER, WORLD } from '../support/pod.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** Python that tries ways out with real sockets, all at once, and prints what became of each. Argument: the ways. */
const TRY = `import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def attempt(way):
    kind, address, port = way
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    s.settimeout(3)
    try:
        s.connect((address, port)); s.send(b'x' * 1200)
        if kind == 'udp': s.recv(2000)
        return 'out'
    except OSError as e: return 'no ' + str(e.errno)
with ThreadPoolExecutor(32) as pool: print(json.dumps(list(pool.map(attempt, json.loads(sys.argv[1])))))`;

type Attempt = readonly [kind: 'tcp' | 'udp', address: string, port: number];

const WAYS: readonly Attempt[] = [WORLD.v4, WORLD.v6].flatMap(address => [
	...[80, 443, 9000, 53].map(port => ['tcp', address, port] as const),
	...[53, 443, 9000].map(port => ['udp', address, port] as const),
]);

/** What became of each. */
async function attempts(pod: Pod, user: number, ways: readonly Attempt[] = WAYS): Promise<readonly string[]> {
	const { stdout, stderr } = await pod.run(user, ['/usr/bin/env', 'python3', '-c', TRY, JSON.stringify(ways)]);
	assert.notEqual(stdout, '', stderr);
	return JSON.parse(stdout) as readonly string[];
}

const ALL_OUT = WAYS.map(() => 'out');
/** ECONNREFUSED, EHOSTUNREACH, EACCES, EPERM: said by the kernel at once. */
const CLOSED = /^no (111|113|13|1)$/;

async function podOf(t: TestContext): Promise<Pod | undefined> {
	const missing = podMissing();
	if (missing !== undefined) {
		t.skip(missing);
		return undefined;
	}
	return makePod(t, makeWorkspace(t), { 'api.test-public.com': [WORLD.v4, WORLD.v6] });
}

for (const backend of ['nft', 'iptables']) {
	test(`${backend}: nobody gets out but Sallyport's user`, async t => {
		const pod = await podOf(t);
		if (pod === undefined) return;

		// Without the rules everybody does, or this test could not fail.
		assert.deepEqual(await attempts(pod, AGENT_USER), ALL_OUT);
		for (const times of ['once', 'again']) {
			const { status, stderr } = await pod.rules('--uid', String(SALLYPORT_USER), '--backend', backend);
			assert.equal(status, 0, `${times}: ${stderr}`);
		}
		const before = pod.arrivals().length;
		for (const user of [AGENT_USER, 33, SALLYPORT_USER - 1])
			for (const [index, result] of (await attempts(pod, user)).entries())
				assert.match(result, CLOSED, `${user} ${WAYS[index]?.join(' ')}`);
		// As root, by name and by address, with whatever else a real client tries.
		for (const url of ['http://api.test-public.com/', 'https://api.test-public.com/', `http://${WORLD.metadata}/`])
			assert.equal((await pod.run(0, ['curl', '-qsSk', '--max-time', '5', url])).status, 7, url);
		assert.equal(pod.arrivals().length, before);

		assert.deepEqual(await attempts(pod, SALLYPORT_USER), ALL_OUT);
	});
}

test('loopback stays, and so do answers to whoever connects to the pod', async t => {
	const pod = await podOf(t);
	if (pod === undefined) return;
	assert.equal((await pod.rules('--uid', String(SALLYPORT_USER))).status, 0);
	const serve = `import socket, threading
def serve(family, address):
    s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((address, 7000)); s.listen()
    threading.Thread(target=lambda: [s.accept()[0].sendall(b'hello')], daemon=True).start()
serve(socket.AF_INET, '127.0.0.1'); serve(socket.AF_INET6, '::1'); serve(socket.AF_INET, '50.0.0.2')
for a in ['127.0.0.1', '::1', '50.0.0.2']:
    print(socket.create_connection((a, 7000), 2).recv(10).decode())`;
	assert.equal((await pod.run(AGENT_USER, ['/usr/bin/env', 'python3', '-c', serve])).stdout, 'hello\n'.repeat(3));

	const outside = `import socket
s = socket.create_server(('50.0.0.2', 7001)); print('up', flush=True); s.settimeout(10); s.accept()[0].sendall(b'answer')`;
	const served = pod.run(AGENT_USER, ['/usr/bin/env', 'python3', '-c', outside]);
	assert.equal(await pod.fromOutside('50.0.0.2', 7001), 'answer');
	await served;
});

for (const backend of ['nft', 'iptables']) {
	test(`${backend}: name servers can be let through, and nobody else on their port`, async t => {
		const pod = await podOf(t);
		if (pod === undefined) return;
		const { status, stderr } = await pod.rules(
			...['--uid', String(SALLYPORT_USER), '--dns', 'resolvers', '--backend', backend, '--capture', '17406'],
		);
		assert.equal(status, 0, stderr);
		const results = await attempts(pod, AGENT_USER, [
			...[WORLD.v4, WORLD.v6].flatMap(address => [['tcp', address, 53] as const, ['udp', address, 53] as const]),
			...[WORLD.other4, WORLD.other6].map(address => ['udp', address, 53] as const),
			['udp', WORLD.v4, 443],
			// Redirected to where nobody listens.
			...[WORLD.other4, WORLD.other6].map(address => ['tcp', address, 53] as const),
		]);
		assert.deepEqual(results.slice(0, 4), ['out', 'out', 'out', 'out']);
		for (const result of results.slice(4, 7)) assert.match(result, CLOSED);
		assert.deepEqual(results.slice(7), ['no 111', 'no 111']);
	});
}

for (const [title, options, says] of [
	['no user', [], /--uid: expected a number/],
	['root', ['--uid', '0'], /root is for no process/],
	['a port that is none', ['--uid', '5', '--capture', '70000'], /is no port/],
	['a name for a name server', ['--uid', '5', '--dns', 'dns.internal'], /is no address/],
	['more than an address', ['--uid', '5', '--dns', '10.0.0.1} accept;'], /is no address/],
	['another backend', ['--uid', '5', '--backend', 'ebpf'], /--backend: expected/],
	['an unknown option', ['--uid', '5', '--open'], /unknown option/],
] as const) {
	test(`the script refuses ${title}`, async () => {
		const { status, stderr } = await runScript([...options, '--print']);
		assert.equal(status, 1);
		assert.match(stderr, says);
	});
}
