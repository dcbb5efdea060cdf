import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { AGENT_USER, type Pod, WORLD } from '../support/pod.ts';
import type { AuditRecord } from '../support/records.ts';
import { SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { AGENT, agentCurl, CAPTURE, type Stage, stageCaptured } from './support.ts';

/** Python that connects, sends what it is told, and prints what comes back. */
const TALK = `import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family); s.settimeout(8); s.connect((sys.argv[1], int(sys.argv[2])))
if sys.argv[3]: s.sendall(bytes.fromhex(sys.argv[3]))
print(s.recv(100).decode().strip())`;

const targetOf = ({ call }: AuditRecord): { readonly host?: string; readonly name?: string } | undefined =>
	call?.['target'] as { readonly host?: string; readonly name?: string } | undefined;

/** The same, for as long as it likes. */
function startTalk(t: TestContext, pod: Pod, program: string): { said(): string; tell(text: string): void } {
	const [command = '', ...rest] = [...pod.through(AGENT_USER), '/usr/bin/env', 'python3', '-c', program];
	const child = spawn(command, rest, { env: { PATH: process.env['PATH'] } });
	t.after(() => child.kill('SIGKILL'));
	let said = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => {
			said += text;
		});
	return { said: () => said, tell: text => void child.stdin.write(text) };
}

const talk = ({ pod }: Stage, address: string, port: number, text: string) =>
	pod.run(AGENT_USER, [
		'/usr/bin/env',
		'python3',
		'-c',
		TALK,
		address,
		String(port),
		Buffer.from(text, 'latin1').toString('hex'),
	]);

test('an agent without proxy variables', async t => {
	const stage = await stageCaptured(t);
	if (stage === undefined) return;
	const { pod, sallyport, workspace } = stage;

	for (const [family, host, address] of [
		['IPv4', 'api.test-public.com', WORLD.v4],
		['IPv6', 'api6.test-public.com', WORLD.v6],
	] as const) {
		await t.test(`HTTP by ${family} is decided by request, with the host that it names`, async () => {
			const { stdout, stderr } = await agentCurl(stage, `http://${host}/list?page=2`);
			assert.match(stdout, /200$/, stderr);
			assert.ok(pod.requests().includes(`GET ${host} /list?page=2`));
			const record = await sallyport.waitForRecord(
				record => record.type === 'decision' && targetOf(record)?.host === host,
				'the decision',
			);
			assert.deepEqual(record.call?.['target'], { host, port: 80, address });
			assert.equal(record.call?.['agent'], AGENT);
			assert.equal(record.call?.['authentication'], 'as');
			assert.equal(record.call?.['path'], '/list');
		});

		await t.test(`TLS by ${family} is a tunnel, with the server name that it claims`, async () => {
			const { stdout, stderr } = await agentCurl(stage, `https://${host}/secret`);
			assert.match(stdout, /200$/, stderr);
			const record = await sallyport.waitForRecord(
				record => record.call?.['protocol'] === 'tunnel' && targetOf(record)?.host === host,
				'the decision on the tunnel',
			);
			assert.deepEqual(record.call?.['target'], { host, port: 443, address });
		});
	}

	await t.test('a request that policy denies is answered, and goes nowhere', async () => {
		const before = pod.arrivals().length;
		const { stdout } = await agentCurl(stage, 'http://other.test-public.com/');
		assert.match(stdout, /"cause":"no_rule"(.|\n)*403$/);
		assert.equal(pod.arrivals().length, before);
	});

	await t.test('a tunnel that policy denies is reset, and goes nowhere', async () => {
		const before = pod.arrivals().length;
		const { status } = await agentCurl(stage, 'https://other6.test-public.com/');
		assert.equal(status, 35);
		assert.equal(pod.arrivals().length, before);
	});

	await t.test('a Host that the address does not have is a lie', async () => {
		const lie = ['--connect-to', `api.test-public.com:80:${WORLD.other4}:80`];
		const { stdout } = await agentCurl(stage, ...lie, 'http://api.test-public.com/lie');
		assert.match(stdout, /"cause":"target_mismatch"(.|\n)*403$/);
		assert.ok(!pod.requests().some(line => line.endsWith('/lie')));
	});

	await t.test('so is a server name', async () => {
		const before = pod.arrivals().length;
		const lie = ['--connect-to', `api6.test-public.com:443:[${WORLD.other6}]:443`];
		const { status } = await agentCurl(stage, ...lie, 'https://api6.test-public.com/lie');
		assert.equal(status, 35);
		await sallyport.waitForRecord(
			({ type, cause }) => type === 'outcome' && cause === 'target_mismatch',
			'the outcome of the tunnel',
		);
		assert.equal(pod.arrivals().length, before);
	});

	await t.test('Host must name the port that the agent connected to, and no other address', async () => {
		for (const host of ['api.test-public.com:8000', WORLD.other4, 'api.test-public.com:81']) {
			const { stdout } = await agentCurl(stage, '-H', `Host: ${host}`, 'http://api.test-public.com/');
			assert.match(stdout, /"cause":"target_mismatch"(.|\n)*403$/, host);
		}
	});

	await t.test('a declared upstream is reached by its name, wherever it is', async () => {
		const { stdout, stderr } = await agentCurl(stage, 'http://crm.internal:8000/contacts');
		assert.match(stdout, /200$/, stderr);
		const record = await sallyport.waitForRecord(record => targetOf(record)?.name === 'crm', 'the decision');
		assert.deepEqual(record.call?.['target'], {
			name: 'crm',
			host: 'crm.internal',
			port: 8000,
			address: WORLD.inside,
		});
	});

	await t.test('TLS to an upstream whose calls are inspected is refused', async () => {
		const claim = ['--connect-to', `crm.internal:8000:${WORLD.inside}:8000`];
		const { status } = await agentCurl(stage, ...claim, 'https://crm.internal:8000/');
		assert.equal(status, 35);
		await sallyport.waitForRecord(({ cause }) => cause === 'tunnel_to_inspected', 'the refusal');
	});

	await t.test('other protocols are tunnels to an address, also where the server speaks first', async () => {
		assert.equal((await talk(stage, WORLD.v4, 9000, 'ping\n')).stdout, 'ping\n');
		assert.equal((await talk(stage, WORLD.v4, 2525, '')).stdout, '220 hello\n');
		const denied = await talk(stage, WORLD.other4, 9000, 'ping\n');
		assert.match(denied.stderr, /ConnectionResetError/);
	});

	await t.test('what looks like TLS or HTTP and is not is refused, and not passed on as unknown', async () => {
		const before = pod.arrivals().length;
		assert.match((await talk(stage, WORLD.v4, 9000, '\x16\x03\x01\x00\x00')).stderr, /ConnectionResetError/);
		assert.match((await talk(stage, WORLD.v4, 9000, 'GET / HTTP/1.0\r\n\r\n')).stdout, /^HTTP\/1\.1 400/);
		assert.equal(pod.arrivals().length, before);
	});

	await t.test('CONNECT leads no further than any other request', async () => {
		const { stdout } = await talk(
			stage,
			WORLD.v4,
			80,
			'CONNECT api.test-public.com:443 HTTP/1.1\r\nHost: api.test-public.com:443\r\n\r\n',
		);
		assert.match(stdout, /^HTTP\/1\.1 403/);
	});

	await t.test('a connection that nothing redirected is turned away', async () => {
		const { stderr } = await talk(stage, '127.0.0.1', CAPTURE, 'GET / HTTP/1.1\r\n\r\n');
		assert.match(stderr, /ConnectionResetError/);
		await sallyport.waitForRecord(({ cause }) => cause === 'address_forbidden', 'the refusal');
	});

	await t.test('a reload changes nothing for who is there, and new connections get the new configuration', async () => {
		const held = `import socket, sys, time
s = socket.create_connection(('${WORLD.v4}', 9000), 5); s.settimeout(15)
s.sendall(b'one'); print(s.recv(9).decode(), flush=True)
sys.stdin.readline(); s.sendall(b'two'); print(s.recv(9).decode(), flush=True)
print(s.recv(9).decode() or 'ended', flush=True)`;
		const open = startTalk(t, pod, held);
		await until(() => open.said() === 'one\n', 'the tunnel is open');
		const config = workspace.path('sallyport.yaml');
		writeFileSync(config, readFileSync(config, 'utf8').replace('300ms', '400ms'));
		sallyport.signal('SIGHUP');
		await sallyport.waitForLog(({ msg }) => /configuration was read again/.test(msg ?? ''), 'the reload');
		open.tell('\n');
		await until(() => open.said() === 'one\ntwo\n', 'the tunnel goes on');
		assert.match((await agentCurl(stage, 'http://api.test-public.com/')).stdout, /200$/);

		const control = ['--socket', workspace.path('control.sock')];
		const revoked = await pod.run(0, [SALLYPORT, 'revoke', AGENT, '--reason', 'a test', ...control]);
		assert.equal(revoked.status, 0, revoked.stderr);
		await until(() => /two\n.*(ended|Reset)/s.test(open.said()), 'a revocation ends it');
		assert.match((await agentCurl(stage, 'http://api.test-public.com/')).stdout, /"cause":"revoked"/);
		const given = await pod.run(0, [SALLYPORT, 'revoke', AGENT, '--undo', ...control]);
		assert.equal(given.status, 0, given.stderr);
	});

	await t.test('half a ClientHello is waited for no longer than a handshake', async () => {
		const { stderr } = await talk(stage, WORLD.v4, 443, '\x16\x03\x01\x02\x00\x01\x00');
		assert.match(stderr, /ConnectionResetError/);
		await sallyport.waitForRecord(({ cause }) => cause === 'limit_exceeded', 'the refusal');
	});
});
