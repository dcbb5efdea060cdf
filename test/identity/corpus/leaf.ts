import {
	AGENT,
	bytes,
	type Case,
	constraints,
	type Draft,
	extension,
	HOUR,
	integer,
	leafCase,
	leafExtensions,
	NOW,
	NULL,
	nameConstraints,
	oid,
	PURPOSE,
	purposes,
	san,
	sequence,
	TRUE,
	tlv,
	uri,
	usage,
	utcTime,
} from './forge.ts';

/** Leaves that are not what a leaf must be (X509-SVID.md §4.1, §4.3, §4.4, §5.2; RFC 5280 §4.1, §4.2). */

const BIT = {
	digitalSignature: 0,
	keyEncipherment: 2,
	dataEncipherment: 3,
	keyAgreement: 4,
	keyCertSign: 5,
	cRLSign: 6,
} as const;

function subsets<Item>(items: readonly Item[]): Item[][] {
	const [first, ...rest] = items;
	if (first === undefined) return [[]];
	const without = subsets(rest);
	return [...without, ...without.map(set => [first, ...set])];
}

function usages(): Case[] {
	const made = (rule: string, way: string, value: Buffer | null, detail: RegExp): Case =>
		leafCase(rule, way, { extensions: leafExtensions({ usage: value }) }, detail);
	const others = subsets([BIT.keyEncipherment, BIT.dataEncipherment, BIT.keyAgreement]);
	const raw = (...octets: readonly number[]): Buffer => extension('2.5.29.15', true, tlv(0x03, bytes(...octets)));
	return [
		...others.flatMap(more => [
			made('key usage: no keyCertSign', `with ${more}`, usage([0, 5, ...more]), /its key usage has keyCertSign/),
			made('key usage: no cRLSign', `with ${more}`, usage([0, 6, ...more]), /its key usage has cRLSign/),
			made(
				'key usage: no keyCertSign',
				`and cRLSign, with ${more}`,
				usage([0, 5, 6, ...more]),
				/its key usage has keyCertSign/,
			),
			made('key usage: digitalSignature', `only ${more}`, usage(more), /its key usage has no digitalSignature/),
			made('key usage: critical', `with ${more}`, usage([0, ...more], false), /its key usage is not critical/),
		]),
		...[1, 7, 8].map(bit =>
			made('key usage: digitalSignature', `only bit ${bit}`, usage([bit]), /its key usage has no digitalSignature/),
		),
		made('key usage: no keyCertSign', 'alone', usage([5]), /its key usage has keyCertSign/),
		made('key usage: no cRLSign', 'alone', usage([6]), /its key usage has cRLSign/),
		made('key usage: there', 'it is not', null, /it has no key usage/),
		made('key usage: well formed', 'unused bits that are set', raw(7, 0xff), /unused bits that are set/),
		made('key usage: well formed', 'eight unused bits', raw(8, 0x80), /not a bit string/),
		made('key usage: well formed', 'no octets', raw(), /not a bit string/),
		made('key usage: well formed', 'five octets', raw(0, 0x80, 0, 0, 0, 1), /too long/),
		made('key usage: well formed', 'an integer', extension('2.5.29.15', true, integer(1)), /keyUsage: unexpected tag/),
		leafCase(
			'no extension twice',
			'the key usage',
			{ extensions: leafExtensions({ more: [usage([0, 5])] }) },
			/extension 2\.5\.29\.15: there twice/,
		),
	];
}

function extendedUsages(): Case[] {
	const { serverAuth, clientAuth } = PURPOSE;
	const made = (rule: string, way: string, value: Buffer, detail: RegExp): Case =>
		leafCase(rule, way, { extensions: leafExtensions({ purposes: value }) }, detail);
	const others = Object.entries(PURPOSE).filter(([, id]) => id !== serverAuth && id !== clientAuth);
	const server = /its extended key usage has no serverAuth/;
	const client = /its extended key usage has no clientAuth/;
	const raw = (...contents: readonly Uint8Array[]): Buffer =>
		extension('2.5.29.37', false, ...(contents as [Uint8Array]));
	return [
		...[false, true].flatMap(critical => [
			made('extended key usage: serverAuth too', `critical: ${critical}`, purposes([clientAuth], critical), server),
			made('extended key usage: clientAuth too', `critical: ${critical}`, purposes([serverAuth], critical), client),
			...others.flatMap(([other, id]) => [
				made(
					'extended key usage: serverAuth too',
					`with ${other}, critical: ${critical}`,
					purposes([clientAuth, id], critical),
					server,
				),
				made(
					'extended key usage: clientAuth too',
					`with ${other}, critical: ${critical}`,
					purposes([id, serverAuth], critical),
					client,
				),
				made('extended key usage: both', `only ${other}, critical: ${critical}`, purposes([id], critical), client),
			]),
		]),
		made('extended key usage: well formed', 'an empty list', raw(sequence()), /extKeyUsage: empty/),
		made('extended key usage: well formed', 'no list', raw(oid(serverAuth)), /extKeyUsage: unexpected tag/),
		made(
			'extended key usage: well formed',
			'a text in it',
			raw(sequence(oid(serverAuth), tlv(0x0c, Buffer.from('a')))),
			/extKeyUsage: unexpected tag/,
		),
		made(
			'extended key usage: well formed',
			'257 of them',
			purposes([serverAuth, clientAuth, ...Array.from({ length: 255 }, () => PURPOSE.any)]),
			/more than 256 purposes/,
		),
	];
}

function basicConstraints(): Case[] {
	const made = (rule: string, way: string, value: Buffer, detail: RegExp): Case =>
		leafCase(rule, way, { extensions: leafExtensions({ constraints: value }) }, detail);
	const raw = (...contents: readonly Uint8Array[]): Buffer => extension('2.5.29.19', true, sequence(...contents));
	const no = /it is a CA certificate/;
	return [
		...[true, false].flatMap(critical => [
			made('not a CA', `critical: ${critical}`, constraints(true, undefined, critical), no),
			made('not a CA', `with a path length, critical: ${critical}`, constraints(true, 0, critical), no),
		]),
		leafCase(
			'not a CA',
			'a whole signing certificate',
			{ extensions: leafExtensions({ constraints: constraints(true), usage: usage([5, 6]) }) },
			no,
		),
		made('path length: for CAs only', 'without cA', constraints(false, 0), /it has a path length, but is no CA/),
		made('basic constraints: well formed', 'cA that is 1', raw(tlv(0x01, bytes(1))), /cA: not a DER boolean/),
		made(
			'basic constraints: well formed',
			'cA of two octets',
			raw(tlv(0x01, bytes(0xff, 0xff))),
			/cA: not a DER boolean/,
		),
		made(
			'basic constraints: well formed',
			'a negative path length',
			raw(TRUE, integer(0xff)),
			/pathLenConstraint: negative/,
		),
		made(
			'basic constraints: well formed',
			'a long path length',
			raw(TRUE, integer(1, 0, 0, 0, 0)),
			/pathLenConstraint: too large/,
		),
		made(
			'basic constraints: well formed',
			'more after it',
			raw(TRUE, integer(0), NULL),
			/basicConstraints: bytes after its end/,
		),
		made(
			'basic constraints: well formed',
			'no list',
			extension('2.5.29.19', true, TRUE),
			/basicConstraints: unexpected tag/,
		),
	];
}

/** Extensions that a leaf has no use for, by name. */
const UNUSED: readonly [string, string][] = [
	['privateKeyUsagePeriod', '2.5.29.16'],
	['issuerAltName', '2.5.29.18'],
	['cRLDistributionPoints', '2.5.29.31'],
	['policyMappings', '2.5.29.33'],
	['policyConstraints', '2.5.29.36'],
	['freshestCRL', '2.5.29.46'],
	['inhibitAnyPolicy', '2.5.29.54'],
	['subjectDirectoryAttributes', '2.5.29.9'],
	['authorityInfoAccess', '1.3.6.1.5.5.7.1.1'],
	['qcStatements', '1.3.6.1.5.5.7.1.3'],
	['tlsFeature', '1.3.6.1.5.5.7.1.24'],
	['certificate transparency poison', '1.3.6.1.4.1.11129.2.4.3'],
	['netscape certificate type', '2.16.840.1.113730.1.1'],
	['proxyCertInfo', '1.3.6.1.5.5.7.1.14'],
	['nobody knows what', '1.3.6.1.4.1.55555.1'],
	['nobody knows what either', '2.5.29.99'],
];

function criticals(): Case[] {
	const rule = 'no critical extension that is not understood';
	return [
		...UNUSED.map(([what, id]) =>
			leafCase(
				rule,
				what,
				{ extensions: leafExtensions({ more: [extension(id, true, NULL)] }) },
				new RegExp(`critical extension ${id.replaceAll('.', '\\.')} is not understood`),
			),
		),
		leafCase(
			rule,
			'name constraints, which are for CAs',
			{ extensions: leafExtensions({ more: [nameConstraints([uri('example.org')])] }) },
			/critical extension 2\.5\.29\.30 is not understood/,
		),
		leafCase(
			'no extension twice',
			'one that nobody knows',
			{
				extensions: leafExtensions({
					more: [extension('1.3.6.1.4.1.55555.1', false, NULL), extension('1.3.6.1.4.1.55555.1', false, NULL)],
				}),
			},
			/there twice/,
		),
	];
}

function times(): Case[] {
	const rule = 'within its validity';
	const late = { cause: 'identity_expired' } as const;
	const at = (notBefore: number, notAfter: number): Draft => ({
		notBefore: utcTime(NOW + notBefore),
		notAfter: utcTime(NOW + notAfter),
	});
	const expired = /certificate: it expired at \d{4}-/;
	const early = /certificate: it is not valid before \d{4}-/;
	const odd = (way: string, tag: number, text: string): Case =>
		leafCase(
			'validity: well formed',
			way,
			{ notAfter: tlv(tag, Buffer.from(text)) },
			/notAfter: (not a time|no such time)/,
		);
	return [
		...[5_000, 60_000, HOUR, 1000 * HOUR].map(ago =>
			leafCase(rule, `over for ${ago} ms`, at(-2000 * HOUR, -ago), expired, late),
		),
		...[60_000, HOUR, 1000 * HOUR].map(ahead =>
			leafCase(rule, `begins in ${ahead} ms`, at(ahead, 2000 * HOUR), early, late),
		),
		leafCase(rule, 'ends before it begins, now in between', at(HOUR, -HOUR), early, late),
		leafCase(rule, 'a moment long, long ago', at(-HOUR, -HOUR), expired, late),
		leafCase(
			rule,
			'1950',
			{ notBefore: tlv(0x17, Buffer.from('500101000000Z')), notAfter: tlv(0x17, Buffer.from('510101000000Z')) },
			expired,
			late,
		),
		odd('without seconds', 0x17, '4001010000Z'),
		odd('without Z', 0x17, '400101000000'),
		odd('with an offset', 0x17, '400101000000+0100'),
		odd('a fraction', 0x18, '20400101000000.5Z'),
		odd('month 13', 0x17, '401301000000Z'),
		odd('day 0', 0x17, '400100000000Z'),
		odd('the 30th of February', 0x17, '400230000000Z'),
		odd('hour 24', 0x17, '400101240000Z'),
		odd('second 60', 0x17, '400101000060Z'),
		odd('a UTCTime with the whole year', 0x17, '20400101000000Z'),
		odd('a GeneralizedTime with half of it', 0x18, '400101000000Z'),
		odd('a text', 0x0c, '400101000000Z'),
		odd('nothing', 0x17, ''),
	];
}

function versions(): Case[] {
	const version = (number: number): Buffer => tlv(0xa0, integer(number));
	return [
		leafCase('version 3', '1, without extensions', { version: null, extensions: null }, /it has no URI name/),
		leafCase('version 3', '1, with extensions', { version: null }, /in a certificate that is not version 3/),
		leafCase('version 3', '2', { version: version(1) }, /in a certificate that is not version 3/),
		leafCase('version 3', '4', { version: version(3) }, /version: unknown/),
		leafCase('version 3', 'negative', { version: version(0xff) }, /version: negative/),
		leafCase('version 3', 'without extensions', { extensions: null }, /it has no URI name/),
		leafCase('serial number: positive', 'negative', { serial: integer(0x80) }, /serialNumber: negative/),
		leafCase('serial number: positive', 'minus one', { serial: integer(0xff) }, /serialNumber: negative/),
		leafCase(
			'serial number: well formed',
			'33 octets',
			{ serial: tlv(0x02, Buffer.alloc(33, 0x40)) },
			/serialNumber: longer than 32 bytes/,
		),
		leafCase(
			'serial number: well formed',
			'not in its shortest form',
			{ serial: integer(0, 1) },
			/not in its shortest form/,
		),
		leafCase('serial number: well formed', 'empty', { serial: integer() }, /an empty integer/),
		leafCase(
			'names: critical with an empty subject',
			AGENT,
			{ subject: sequence(), extensions: leafExtensions({ san: san([uri(AGENT)]) }) },
			/no subject.*not critical/,
		),
	];
}

export const leafCases = (): Case[] => [
	...usages(),
	...extendedUsages(),
	...basicConstraints(),
	...criticals(),
	...times(),
	...versions(),
];
