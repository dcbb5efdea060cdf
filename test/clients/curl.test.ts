import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { checkClient } from './check.ts';
import type { Way } from './matrix.ts';

type Addresses = Readonly<Record<string, string | undefined>>;

function words(
	way: Way,
	{
		TARGET = '',
		PROXY_MTLS = '',
		PROXY_TOKEN = '',
		PROXY_SOCKET = '',
		DOOR_MTLS = '',
		DOOR_TOKEN = '',
		DOOR_SOCKET = '',
		CA = '',
		CERT = '',
		KEY = '',
	}: Addresses,
): string[] {
	switch (way) {
		case 'mtls_http':
		case 'mtls_connect':
			return [
				'--proxy',
				PROXY_MTLS,
				'--proxy-cert',
				CERT,
				'--proxy-key',
				KEY,
				'--proxy-cacert',
				CA,
				'--cacert',
				CA,
				TARGET,
			];
		case 'token_http':
		case 'token_connect':
			return ['--proxy', PROXY_TOKEN, '--cacert', CA, TARGET];
		case 'socket_http':
			return ['--unix-socket', PROXY_SOCKET, '--request-target', TARGET, TARGET];
		case 'socket_connect':
			return ['--unix-socket', PROXY_SOCKET, '--proxy', 'http://localhost', '--proxytunnel', '--cacert', CA, TARGET];
		case 'door_mtls':
			return ['--cert', CERT, '--key', KEY, '--cacert', CA, DOOR_MTLS];
		case 'door_token':
			return [DOOR_TOKEN];
		case 'door_socket':
			return ['--unix-socket', DOOR_SOCKET, 'http://crm/hello'];
		default:
			return [TARGET];
	}
}

test('curl', { skip: spawnSync('curl', ['--version']).status === 0 ? false : 'curl is not installed' }, t =>
	checkClient(t, 'curl', (way, stage) => ({
		words: [
			'curl',
			'-q',
			'-sS',
			'--max-time',
			'20',
			'-w',
			'{"status":%{http_code}}',
			...words(way, stage.environment(way)),
		],
	})),
);
