import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';

test('Node http and https', t =>
	checkClient(t, 'nodeHttp', way => ({ words: [process.execPath, programOf('node-http.mjs'), way] })));
