import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readHead } from '../../src/protocols/http/head.ts';

const name = fc.constantFrom(
	'Host',
	'host',
	'Content-Length',
	'Transfer-Encoding',
	'Expect',
	'Connection',
	'Upgrade',
	'Content-Type',
	'X-A',
	'HTTP2-Settings',
	'Proxy-Authorization',
);
const value = fc.constantFrom(
	'crm.test',
	'crm.test:80',
	'evil.test',
	'0',
	'5',
	'+5',
	'5, 5',
	'chunked',
	'Chunked',
	'identity',
	'gzip, chunked',
	'100-continue',
	'close',
	'h2c',
	'application/json',
	'',
	'x',
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 6 });
const url = fc.constantFrom(
	'http://crm.test/',
	'http://crm.test:80/x',
	'https://crm.test/',
	'/x',
	'*',
	'crm.test:80',
	'http://a@crm.test/',
	'http://crm.test/../x',
);

const all = (pairs: readonly (readonly [string, string])[], wanted: string): string[] =>
	pairs.filter(([field]) => field.toLowerCase() === wanted).map(([, text]) => text);

test('a head that is taken names one Host and ends its body in one way', () => {
	let taken = 0;
	fc.assert(
		fc.property(
			fc.constantFrom('GET', 'POST', 'OPTIONS', 'CONNECT'),
			url,
			fc.constantFrom('1.1', '1.1', '1.1', '1.0', '2.0'),
			fields,
			(method, target, version, more) => {
				const pairs: [string, string][] = [['Host', 'crm.test'], ...more];
				const head = readHead(method, target, version, pairs.flat());
				if ('cause' in head) {
					assert.equal(head.cause, 'undecodable');
					assert.ok(head.detail);
					return;
				}
				taken++;
				assert.equal(all(pairs, 'host').length, 1);
				const lengths = all(pairs, 'content-length');
				const encodings = all(pairs, 'transfer-encoding');
				assert.ok(lengths.length + encodings.length <= 1);
				assert.ok(encodings.every(encoding => encoding === 'chunked'));
				assert.equal(head.length, encodings.length === 1 ? undefined : Number(lengths[0] ?? 0));
				assert.equal(all(pairs, 'upgrade').length + all(pairs, 'http2-settings').length, 0);
				assert.ok(version === '1.1' || method === 'CONNECT');
			},
		),
		{ numRuns: 5000 },
	);
	assert.ok(taken > 100, `${taken} were taken`);
});
