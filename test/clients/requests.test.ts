import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';
import { python } from './python.ts';

const found = python();

test('Python requests', { skip: 'missing' in found ? found.missing : false }, t =>
	checkClient(t, 'requests', way => ({
		words: ['path' in found ? found.path : '', programOf('requests_client.py'), way],
	})),
);
