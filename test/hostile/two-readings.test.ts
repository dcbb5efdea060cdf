import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

const sleep = (ms: number) => new Promise(r => setTimeout(r, ms));

test('a JSON body whose Content-Type names another charset than UTF-8 is not given to policy as whole', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { pay: { address: upstream.address, hosts: ['pay.internal'], protocol: 'http' } } },
		policy: policyOf('allow if input.http.body.amount <= 100'),
	});
	const host = `pay.internal:${upstream.port}`;
	const agent = workspace.agent('a');
	const post = async (type: string, body: string): Promise<string> => {
		const wire = await openWire(t, sallyport.address('egress'), { agent });
		wire.send(
			`POST http://${host}/pay HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
		);
		const answer = await wire.receives('\r\n\r\n');
		wire.socket.destroy();
		return answer.split('\r\n')[0] ?? '';
	};
	assert.match(await post('application/json', '{"amount":1000}'), / 403 /);
	assert.match(await post('application/json; charset="UTF-8"', '{"amount":1}'), / 200 /);
	// To a reader of UTF-7 (Express' body-parser takes every charset that begins with utf-): {"amount":1,"x":"","amount":1000,"y":""}
	const body = '{"amount":1,"x":"+ACI-,+ACI-amount+ACI-:1000,+ACI-y+ACI-:+ACI-"}';
	for (const charset of ['utf-7', 'UTF-7', '"utf-7"', 'utf-16', 'hz-gb-2312', 'iso-2022-jp']) {
		const said = await post(`application/json; charset=${charset}`, body);
		console.log(charset, said);
		assert.match(said, / 4\d\d /, charset);
	}
});

test('an escaped letter is the same path to the upstream, and so must be the same to policy and effects', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: {
				crm: {
					address: upstream.address,
					hosts: ['crm.internal'],
					protocol: 'http',
					effects: [{ methods: ['GET'], path: '/run', effect: 'write' }],
				},
			},
		},
		// The rules of README and DESIGN.
		policy: policyOf(
			'allow if input.call.effect == "read"\ndeny contains "no exports on Fridays" if startswith(input.http.path, "/export")',
		),
	});
	const host = `crm.internal:${upstream.port}`;
	const agent = workspace.agent('a');
	const get = async (path: string): Promise<string> => {
		const wire = await openWire(t, sallyport.address('egress'), { agent });
		wire.send(`GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
		const answer = await wire.receives('\r\n\r\n');
		wire.socket.destroy();
		return answer.split('\r\n')[0] ?? '';
	};
	assert.match(await get('/export'), / 403 /);
	assert.match(await get('/run'), / 403 /);
	const seen: string[] = [];
	for (const path of ['/%65xport', '/%72un', '/ru%6e/x', '/run;a=b']) {
		const said = await get(path);
		console.log(path, said);
		if (/ 200 /.test(said)) seen.push(path);
	}
	assert.deepEqual(seen, []);
});

test('nothing of an answer reaches the agent before phase response allows it, hints included', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await listenRaw(t, socket => {
		socket.once('data', () => {
			socket.write(
				'HTTP/1.1 103 Early Hints\r\nlink: <https://evil.example/?stolen=secret-of-the-answer>; rel=preload\r\n\r\n',
			);
			setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nx-class: secret\r\ncontent-length: 2\r\n\r\nhi'), 200);
		});
	});
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
		policy: {
			...policyOf('allow := true'),
			'response.rego': 'package sallyport.response\n\nallow if input.http.headers["x-class"] != "secret"\n',
		},
	});
	const host = `crm.internal:${upstream.port}`;
	const wire = await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') });
	wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	await wire.receives(/HTTP\/1\.1 (200|403|5)/);
	console.log(wire.text());
	assert.doesNotMatch(wire.text(), /stolen/);
});

test('what an agent writes as userinfo stands in no record', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
	});
	const host = `crm.internal:${upstream.port}`;
	const wire = await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') });
	wire.send(`GET http://bob:hunter2@${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
	await wire.receives('\r\n\r\n');
	await sleep(200);
	assert.doesNotMatch(JSON.stringify(sallyport.records()), /hunter2/);
});
