import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';

test('undici', t => checkClient(t, 'undici', way => ({ words: [process.execPath, programOf('undici.mjs'), way] })));
