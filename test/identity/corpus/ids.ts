import {
	AGENT,
	bytes,
	type Case,
	dns,
	email,
	extension,
	ip,
	leafCase,
	leafExtensions,
	name,
	san,
	sequence,
	tlv,
	uri,
} from './forge.ts';

/** Names that are no SPIFFE ID of a workload (SPIFFE-ID.md §2, X509-SVID.md §2 and §3.1). */

const named = (rule: string, way: string, text: string, detail: RegExp): Case =>
	leafCase(rule, way, { extensions: leafExtensions({ san: san([uri(text)]) }) }, detail);

const printable = Array.from({ length: 0x7f - 0x21 }, (_, index) => String.fromCharCode(0x21 + index));
const controls = [...Array.from({ length: 0x21 }, (_, index) => index), 0x7f];
const show = (character: string): string => `0x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

function domains(): Case[] {
	const rule = 'trust domain: letters in lower case, digits, dot, dash, underscore';
	const detail = /its trust domain has a character other than/;
	const bad = printable.filter(character => !/[a-z0-9._/-]/.test(character));
	return [
		...bad.map(character => named(rule, `${character} in it`, `spiffe://exa${character}mple.org/agents/a`, detail)),
		...['@', ':', '%'].map(character =>
			named(rule, `${character} at its end`, `spiffe://example.org${character}/a`, detail),
		),
		named(rule, 'user and password', 'spiffe://user:password@example.org/a', detail),
		named(rule, 'a port', 'spiffe://example.org:8443/a', detail),
		named(rule, 'percent encoding', 'spiffe://ex%61mple.org/a', detail),
		named(rule, 'brackets', 'spiffe://[::1]/a', detail),
		named(rule, 'upper case', 'spiffe://EXAMPLE.ORG/a', detail),
		named(rule, 'a space before it', 'spiffe:// example.org/a', detail),
		named('trust domain: not empty', 'none', 'spiffe:///agents/a', /its trust domain is empty/),
		named('trust domain: not empty', 'nothing but the scheme', 'spiffe://', /its trust domain is empty/),
		...[256, 300, 1000].map(length =>
			named(
				'trust domain: at most 255 bytes',
				`${length} bytes`,
				`spiffe://${'a'.repeat(length)}/a`,
				/longer than 255 bytes/,
			),
		),
	];
}

function paths(): Case[] {
	const rule = 'path: letters, digits, dot, dash, underscore';
	const detail = /its path has a character other than/;
	const bad = printable.filter(character => !/[A-Za-z0-9._/-]/.test(character));
	const dots = 'path: no segment . or ..';
	const empty = 'path: no empty segment, no / at its end';
	return [
		...bad.map(character => named(rule, `${character} in it`, `spiffe://example.org/agents/a${character}b`, detail)),
		named(rule, 'a query', `${AGENT}?a=b`, detail),
		named(rule, 'an empty query', `${AGENT}?`, detail),
		named(rule, 'a fragment', `${AGENT}#a`, detail),
		named(rule, 'an encoded slash', 'spiffe://example.org/agents%2fa', detail),
		named(rule, 'encoded dots', 'spiffe://example.org/agents/%2e%2e/a', detail),
		named(rule, 'a space at its end', `${AGENT} `, detail),
		...['/./a', '/a/.', '/../a', '/a/..', '/a/../b', '/.', '/..', '/a/./b'].map(path =>
			named(dots, path, `spiffe://example.org${path}`, /its path has the segment \.\.?$/),
		),
		...['/', '//', '//a', '/a//b', '/a/', '/a/b//', '///'].map(path =>
			named(empty, path, `spiffe://example.org${path}`, /its path (has an empty segment|ends in \/)/),
		),
		named('path: not that of the root', 'none', 'spiffe://example.org', /has no path/),
		named('path: at most 64 segments', '65', `spiffe://example.org${'/a'.repeat(65)}`, /more than 64 path segments/),
	];
}

function schemes(): Case[] {
	const rule = 'scheme: spiffe';
	return [
		...['https', 'http', 'SPIFFE', 'Spiffe', 'spiffes', 'spiff', 'urn', 'xspiffe', ' spiffe', 'file'].map(scheme =>
			named(rule, scheme, `${scheme}://example.org/agents/a`, /its scheme is not spiffe/),
		),
		...[
			'spiffe:example.org/a',
			'spiffe:/example.org/a',
			'spiffe',
			'spiffe:',
			'//example.org/a',
			'/agents/a',
			'example.org/a',
		].map(text => named(rule, text, text, /its scheme is not spiffe/)),
		named(rule, 'an empty URI', '', /it is empty/),
	];
}

function characters(): Case[] {
	const rule = 'names: ASCII without NUL';
	return [
		...controls.map(code => {
			const character = String.fromCharCode(code);
			// NUL is none of IA5String as it is read here; the others are, and are in no id.
			return named(
				code === 0 ? rule : 'path: letters, digits, dot, dash, underscore',
				`${show(character)} in it`,
				`spiffe://example.org/agents/a${character}b`,
				code === 0 ? /a character that is not ASCII/ : /its path has a character other than/,
			);
		}),
		...['\x80', '\xff', '\xc3\xa4', '\xe2\x80\xae', '\xef\xbc\x8f'].map(text =>
			named(rule, `${show(text)}`, `spiffe://example.org/agents/${text}`, /a character that is not ASCII/),
		),
		named(rule, 'a NUL in the trust domain', 'spiffe://example.org\0.evil.org/a', /a character that is not ASCII/),
		named(rule, 'a NUL at the end', `${AGENT}\0`, /a character that is not ASCII/),
	];
}

function lengths(): Case[] {
	const rule = 'id: at most 2048 bytes';
	return [2049, 2050, 4096, 20_000].map(length =>
		named(rule, `${length} bytes`, `spiffe://example.org/${'a'.repeat(length - 21)}`, /longer than 2048 bytes/),
	);
}

function structure(): Case[] {
	const withSan = (rule: string, way: string, value: Buffer | null, detail: RegExp, subject?: Buffer): Case =>
		leafCase(
			rule,
			way,
			{ extensions: leafExtensions({ san: value }), ...(subject === undefined ? {} : { subject }) },
			detail,
		);
	const one = 'exactly one URI name';
	const none = /it has no URI name/;
	const several = /it has \d+ URI names/;
	const second = 'spiffe://example.org/agents/b';
	const raw = (value: Buffer): Buffer => extension('2.5.29.17', false, value);
	return [
		withSan(one, 'no names at all', null, none),
		withSan(one, 'a DNS name', san([dns('localhost')]), none),
		withSan(one, 'an address', san([ip('7f000001')]), none),
		withSan(one, 'an e-mail address that looks like one', san([email('spiffe@example.org')]), none),
		withSan(one, 'the id as a DNS name', san([dns(AGENT)]), none),
		withSan(one, 'the id as an e-mail address', san([email(AGENT)]), none),
		withSan(one, 'the id as the common name', san([dns('a')]), none, name(AGENT)),
		...[
			[AGENT, second],
			[AGENT, AGENT],
			[AGENT, 'https://example.org/'],
			['https://example.org/', AGENT],
			[AGENT, ''],
			[AGENT, 'spiffe://other.org/a'],
			[AGENT, second, 'spiffe://example.org/agents/c'],
		].map((uris, index) => withSan(one, `${uris.length} of them (${index})`, san(uris.map(uri)), several)),
		withSan(one, 'two of them around DNS names', san([uri(AGENT), dns('a'), uri(second), dns('b')]), several),
		leafCase(
			'no extension twice',
			'the names',
			{ extensions: leafExtensions({ more: [san([uri(second)])] }) },
			/extension 2\.5\.29\.17: there twice/,
		),
		withSan('names: well formed', 'an empty list', raw(sequence()), /subjectAltName: empty/),
		withSan('names: well formed', 'no list', raw(uri(AGENT)), /subjectAltName: unexpected tag/),
		withSan('names: well formed', 'nothing', raw(Buffer.alloc(0)), /subjectAltName: missing or cut off/),
		withSan('names: well formed', 'a name of no kind', raw(sequence(tlv(0x89, bytes(1)))), /a name of no known kind/),
		withSan(
			'names: well formed',
			'a UTF8String',
			raw(sequence(tlv(0x0c, Buffer.from(AGENT)))),
			/a name of no known kind/,
		),
		withSan(
			'names: well formed',
			'a constructed URI',
			raw(sequence(tlv(0xa6, Buffer.from(AGENT)))),
			/a name of no known kind/,
		),
		withSan(
			'names: well formed',
			'bytes after the list',
			raw(Buffer.concat([sequence(uri(AGENT)), bytes(0)])),
			/bytes after its end/,
		),
		withSan(
			'names: well formed',
			'257 of them',
			san([uri(AGENT), ...Array.from({ length: 256 }, () => dns('a'))]),
			/more than 256 names/,
		),
		withSan(
			'without a subject the names are critical',
			'they are not',
			san([uri(AGENT)]),
			/no subject.*not critical/,
			sequence(),
		),
	];
}

export const idCases = (): Case[] => [
	...schemes(),
	...domains(),
	...paths(),
	...characters(),
	...lengths(),
	...structure(),
];
