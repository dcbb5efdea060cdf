import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointSocketText, parseEndpointSocket } from '../../src/formats/endpoint-socket.ts';

test('unix:///PATH and tcp://IP:PORT are taken, and nothing else', () => {
	for (const [text, spelled] of [
		['unix:///run/spire/agent.sock', 'unix:///run/spire/agent.sock'],
		['unix:/run/spire/agent.sock', 'unix:///run/spire/agent.sock'],
		['tcp://127.0.0.1:8000', 'tcp://127.0.0.1:8000'],
		['tcp://[::1]:8000', 'tcp://[::1]:8000'],
	] as const) {
		const socket = parseEndpointSocket(text);
		if ('broken' in socket) assert.fail(`${text}: ${socket.broken}`);
		assert.equal(endpointSocketText(socket), spelled);
	}
	for (const text of [
		'',
		'/run/agent.sock',
		'unix:',
		'unix://',
		'unix:///',
		'unix:relative.sock',
		'unix://host/path',
		'unix:////path',
		'unix:///path?query',
		'unix:///path#fragment',
		'unix:///a%20b',
		'unix:///a b',
		'tcp://localhost:8000',
		'tcp://127.0.0.1',
		'tcp://127.0.0.1:0',
		'tcp://127.0.0.1:65536',
		'tcp://127.0.0.1:8000/',
		'tcp://127.0.0.1:8000/foo',
		'tcp://user@127.0.0.1:8000',
		'tcp://::1:8000',
		'tcp://[127.0.0.1]:8000',
		'tcp://127.1:8000',
		'http://127.0.0.1:8000',
		'UNIX:///run/agent.sock',
		'unix:///run/\u00e4.sock',
	]) {
		assert.ok('broken' in parseEndpointSocket(text), text);
	}
});
