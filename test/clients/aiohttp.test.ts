import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';
import { python } from './python.ts';

const found = python();

test('Python aiohttp', { skip: 'missing' in found ? found.missing : false }, t =>
	checkClient(t, 'aiohttp', way => ({
		words: ['path' in found ? found.path : '', programOf('aiohttp_client.py'), way],
	})),
);
