import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openStage } from './stage.ts';

/** Python before 3.12, and so requests, opens tunnels by HTTP/1.0 and without a Host. Nothing else is taken so. */

const AUTH = (proxy: string): string =>
	`Proxy-Authorization: Basic ${Buffer.from(`worker:${new URL(proxy).password}`).toString('base64')}\r\n`;

/** The first line of the answer to these bytes. */
function firstLine(t: TestContext, proxy: string, text: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const socket = connect({ host: '127.0.0.1', port: Number(new URL(proxy).port) });
		t.after(() => socket.destroy());
		let answer = '';
		socket.setEncoding('latin1').on('data', (chunk: string) => {
			answer += chunk;
			const end = answer.indexOf('\r\n');
			if (end !== -1) resolve(answer.slice(0, end));
		});
		socket.once('error', reject);
		socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(answer)}`)));
		socket.write(text);
	});
}

test('a CONNECT by HTTP/1.0 reads in one way, and nothing else by HTTP/1.0 does', async t => {
	const stage = await openStage(t);
	const { PROXY_TOKEN: proxy = '' } = stage.environment('token_connect');
	const ask = (first: string, fields = ''): Promise<string> =>
		firstLine(t, proxy, `${first}\r\n${AUTH(proxy)}${fields}\r\n`);
	const api = `api.example:${stage.api.port}`;

	assert.equal(await ask(`CONNECT ${api} HTTP/1.0`), 'HTTP/1.1 200 Connection Established');
	assert.equal(await ask(`CONNECT ${api} HTTP/1.0`, `Host: ${api}\r\n`), 'HTTP/1.1 200 Connection Established');
	assert.equal(stage.api.connections(), 2);

	assert.match(await ask(`CONNECT ${api} HTTP/1.0`, 'Host: crm.example\r\n'), /^HTTP\/1.1 400 /);
	assert.match(await ask(`CONNECT ${api} HTTP/1.0`, 'Content-Length: 3\r\n'), /^HTTP\/1.1 400 /);
	assert.match(await ask(`CONNECT ${api} HTTP/1.0`, 'Transfer-Encoding: chunked\r\n'), /^HTTP\/1.1 400/);
	assert.match(await ask(`CONNECT user@${api} HTTP/1.0`), /^HTTP\/1.1 400/);
	assert.match(await ask(`CONNECT ${api} HTTP/1.1`), /^HTTP\/1.1 400/);
	assert.match(
		await ask(`GET http://crm.example:${stage.crm.port}/ HTTP/1.0`, `Host: crm.example:${stage.crm.port}\r\n`),
		/^HTTP\/1.1 400/,
	);
	assert.equal(stage.api.connections(), 2);
	assert.equal(stage.crm.connections(), 0);
});
