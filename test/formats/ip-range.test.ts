import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { forbiddenAddress, looksLikeAddress } from '../../src/formats/ip-range.ts';

test('public unicast may be dialled', () => {
	for (const ip of [
		'1.1.1.1',
		'8.8.8.8',
		'100.63.255.255',
		'100.128.0.0',
		'172.15.255.255',
		'172.32.0.0',
		'192.0.1.0',
		'198.17.255.255',
		'198.20.0.0',
		'223.255.255.255',
		'2606:4700:4700::1111',
		'2a00:1450:4001::200e',
		'2001:4860:4860::8888',
		'2001:200::1',
		'3ffe::1',
	]) {
		assert.equal(forbiddenAddress(ip), undefined, ip);
	}
});

test('everything else is refused, with its name', () => {
	const cases: readonly [string, RegExp][] = [
		['0.0.0.0', /this network/],
		['0.1.2.3', /this network/],
		['10.1.2.3', /private/],
		['100.64.0.1', /carrier-grade NAT/],
		['100.127.255.255', /carrier-grade NAT/],
		['100.100.100.200', /metadata/],
		['127.0.0.1', /loopback/],
		['127.255.255.254', /loopback/],
		['168.63.129.16', /metadata/],
		['169.254.1.1', /link-local/],
		['169.254.169.254', /metadata/],
		['172.16.0.1', /private/],
		['172.31.255.255', /private/],
		['192.0.0.9', /protocol assignments/],
		['192.0.0.192', /metadata/],
		['192.0.2.7', /documentation/],
		['192.88.99.1', /6to4/],
		['192.168.1.1', /private/],
		['198.18.0.1', /benchmarks/],
		['198.19.255.255', /benchmarks/],
		['198.51.100.1', /documentation/],
		['203.0.113.1', /documentation/],
		['224.0.0.1', /multicast/],
		['239.255.255.255', /multicast/],
		['240.0.0.1', /reserved/],
		['255.255.255.254', /reserved/],
		['255.255.255.255', /broadcast/],
		['::', /unspecified/],
		['::1', /loopback/],
		['0:0:0:0:0:0:0:1', /loopback/],
		['::ffff:8.8.8.8', /IPv4-mapped/],
		['::ffff:127.0.0.1', /IPv4-mapped/],
		['::ffff:808:808', /IPv4-mapped/],
		['::FFFF:8.8.8.8', /IPv4-mapped/],
		['::ffff:0:8.8.8.8', /IPv4-translated/],
		['::8.8.8.8', /IPv4-compatible/],
		['::7f00:1', /IPv4-compatible/],
		['64:ff9b::8.8.8.8', /NAT64/],
		['64:ff9b::7f00:1', /NAT64/],
		['64:ff9b:1::1', /NAT64/],
		['100::1', /discard/],
		['2001::1', /Teredo/],
		['2001:0:4136:e378::', /Teredo/],
		['2001:2::1', /benchmarks/],
		['2001:10::1', /ORCHID/],
		['2001:20::1', /ORCHIDv2/],
		['2001:1::1', /protocol assignments/],
		['2001:db8::1', /documentation/],
		['2002:7f00:1::', /6to4/],
		['3fff::1', /documentation/],
		['5f00::1', /segment routing/],
		['fc00::1', /unique local/],
		['fd12:3456::1', /unique local/],
		['fd00:ec2::254', /metadata/],
		['fd20:ce::254', /metadata/],
		['fe80::1', /link-local/],
		['fec0::1', /site-local/],
		['ff02::1', /multicast/],
		['4000::1', /outside global unicast/],
		['1234::1', /outside global unicast/],
		['fe80::1%eth0', /zone/],
	];
	for (const [ip, why] of cases) assert.match(forbiddenAddress(ip) ?? 'allowed', why, ip);
});

const AMBIGUOUS = [
	'127.1',
	'127.0.1',
	'0x7f.1',
	'0x7f.0.0.1',
	'0x7f000001',
	'0X7F000001',
	'017.0.0.1',
	'127.0.0.01',
	'2130706433',
	'017700000001',
	'1.2.3.4.',
	'1.2.3',
	'1.2.3.4.5',
	'256.1.1.1',
	'0',
	'0x',
	'1.2.3.0x4',
	'foo.1',
	'foo.0x1',
	'[::1]',
	'::1%lo',
	'1::2::3',
	'fe80::1%25eth0',
];

test('spellings that readers disagree about are known for what they are', () => {
	for (const host of AMBIGUOUS) {
		assert.equal(looksLikeAddress(host), true, host);
		assert.notEqual(forbiddenAddress(host), undefined, host);
	}
});

test('names are names', () => {
	for (const host of [
		'localhost',
		'example.org',
		'example.org.',
		'1.2.3.4.example.org',
		'0x7f.example',
		'1and1.com',
		'a1',
		'0x7g',
		'',
	]) {
		assert.equal(looksLikeAddress(host), false, host);
		assert.notEqual(forbiddenAddress(host), undefined, host);
	}
});

test('an address gets one answer in all its IPv6 spellings', () => {
	const group = fc.oneof(
		fc.constant(0),
		fc.constant(0xffff),
		fc.constantFrom(0x64, 0xff9b, 0x2001, 0x2002, 0xfd00, 0xfe80, 0x7f00),
		fc.nat(0xffff),
	);
	fc.assert(
		fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), groups => {
			const full = groups.map(value => value.toString(16)).join(':');
			const padded = groups.map(value => value.toString(16).toUpperCase().padStart(4, '0')).join(':');
			const [high = 0, low = 0] = groups.slice(6);
			const dotted = `${groups
				.slice(0, 6)
				.map(value => value.toString(16))
				.join(':')}:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
			const short = new URL(`http://[${full}]/`).hostname.slice(1, -1);
			const answers = new Set([full, padded, dotted, short].map(forbiddenAddress));
			return answers.size === 1;
		}),
		{ numRuns: 1000 },
	);
});

test('private and loopback IPv4 are refused wherever the kernel would see them, by an independent list', () => {
	const list = new BlockList();
	for (const [network, bits] of [
		['0.0.0.0', 8],
		['10.0.0.0', 8],
		['100.64.0.0', 10],
		['127.0.0.0', 8],
		['169.254.0.0', 16],
		['172.16.0.0', 12],
		['192.168.0.0', 16],
		['198.18.0.0', 15],
		['224.0.0.0', 3],
	] as const)
		list.addSubnet(network, bits);
	fc.assert(
		fc.property(fc.ipV4(), ip => !list.check(ip) || forbiddenAddress(ip) !== undefined),
		{ numRuns: 2000 },
	);
});
