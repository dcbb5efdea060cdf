import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';
import { python } from './python.ts';

const found = python();

test('Python httpx', { skip: 'missing' in found ? found.missing : false }, t =>
	checkClient(t, 'httpx', way => ({ words: ['path' in found ? found.path : '', programOf('httpx_client.py'), way] })),
);
