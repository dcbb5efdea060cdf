import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAuthority, parseRequestTarget } from '../../src/formats/request-target.ts';

const piece = fc.constantFrom(
	'/',
	'.',
	'..',
	'%',
	'%2e',
	'%2F',
	'%00',
	'%41',
	'%C3%A9',
	'%ff',
	'a',
	'B',
	'1',
	';',
	':',
	'@',
	'?',
	'#',
	'&',
	'=',
	'\\',
	'//',
	' ',
	'\t',
	'\u00e9',
	'[',
	']',
	"'",
	'"',
	'|',
	'-',
	'_',
	'~',
);
const text = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 40 }),
	fc.array(piece, { maxLength: 12 }).map(parts => parts.join('')),
);
const good = fc
	.array(fc.constantFrom('a', 'B', '1', '%20', '%C3%A9', '/x', ';p', '~', '-', '.x', ':', '@', '?', '=', '|'), {
		maxLength: 8,
	})
	.map(parts => parts.join(''));
const host = fc.oneof(
	fc.constantFrom(
		'crm.test',
		'CRM.test.',
		'127.0.0.1',
		'[::1]',
		'0x7f.1',
		'127.1',
		'017.0.0.1',
		'a..b',
		'x.1',
		'user@crm.test',
		'1.2.3.4.',
		'[::ffff:1.2.3.4]',
		'xn--bcher-kva.test',
	),
	text,
);
const port = fc.constantFrom('', ':80', ':443', ':8080', ':0', ':', ':65536', ':x');

test('whatever it is given, it throws nothing, and what it takes it leaves as it is', () => {
	fc.assert(
		fc.property(fc.constantFrom('GET', 'CONNECT', 'OPTIONS'), text, (method, target) => {
			const parsed = parseRequestTarget(method, target);
			if ('broken' in parsed) return;
			if (parsed.form === 'origin')
				assert.equal(parsed.path + (parsed.query === undefined ? '' : `?${parsed.query}`), target);
		}),
		{ numRuns: 5000 },
	);
});

test('where it takes an absolute form, a reader that follows the WHATWG reads the same host, port and path', () => {
	let taken = 0;
	fc.assert(
		fc.property(fc.constantFrom('http', 'https'), host, port, fc.oneof(good, text), (scheme, name, place, rest) => {
			const target = `${scheme}://${name}${place}${rest === '' ? '' : `/${rest}`}`;
			const parsed = parseRequestTarget('GET', target);
			if ('broken' in parsed || parsed.form !== 'absolute') return;
			taken++;
			const url = new URL(target);
			const plain = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
			// IPv6 has many spellings of one address; the WHATWG prints one.
			if (!plain.includes(':')) assert.equal(parsed.authority.host, plain);
			assert.equal(
				String(parsed.authority.port ?? (scheme === 'https' ? 443 : 80)),
				url.port === '' ? (scheme === 'https' ? '443' : '80') : url.port,
			);
			assert.equal(parsed.path, url.pathname);
			assert.equal(url.hash, '');
			assert.equal(url.username + url.password, '');
		}),
		{ numRuns: 5000 },
	);
	assert.ok(taken > 100, `${taken} were taken`);
});

test('an authority that is taken is taken again in the form that it is given', () => {
	fc.assert(
		fc.property(host, port, (name, place) => {
			const parsed = parseAuthority(name + place);
			if ('broken' in parsed) return;
			const printed = `${parsed.host.includes(':') ? `[${parsed.host}]` : parsed.host}${parsed.port === undefined ? '' : `:${parsed.port}`}`;
			assert.deepEqual(parseAuthority(printed), parsed);
		}),
		{ numRuns: 5000 },
	);
});
