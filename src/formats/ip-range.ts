import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Which addresses a target that nobody declared may have: public unicast only. Everything that RFC 6890's registries
 * (IANA IPv4 and IPv6 Special-Purpose Address Registries) reserve is named and refused, and so is every IPv6 form
 * that carries an IPv4 address: what a translator makes of it is not what was checked.
 */

type Entry4 = readonly [range: string, why: string];

const IPV4: readonly Entry4[] = [
	['0.0.0.0/8', 'this network (0.0.0.0/8)'],
	['10.0.0.0/8', 'private (10.0.0.0/8)'],
	['100.100.100.200/32', 'a cloud metadata service'],
	['100.64.0.0/10', 'carrier-grade NAT (100.64.0.0/10)'],
	['127.0.0.0/8', 'loopback (127.0.0.0/8)'],
	['169.254.169.254/32', 'a cloud metadata service'],
	['169.254.0.0/16', 'link-local (169.254.0.0/16)'],
	['168.63.129.16/32', 'a cloud metadata service'],
	['172.16.0.0/12', 'private (172.16.0.0/12)'],
	['192.0.0.192/32', 'a cloud metadata service'],
	['192.0.0.0/24', 'IETF protocol assignments (192.0.0.0/24)'],
	['192.0.2.0/24', 'documentation (192.0.2.0/24)'],
	['192.31.196.0/24', 'AS112 (192.31.196.0/24)'],
	['192.52.193.0/24', 'AMT (192.52.193.0/24)'],
	['192.88.99.0/24', '6to4 relay (192.88.99.0/24)'],
	['192.168.0.0/16', 'private (192.168.0.0/16)'],
	['192.175.48.0/24', 'AS112 (192.175.48.0/24)'],
	['198.18.0.0/15', 'benchmarks (198.18.0.0/15)'],
	['198.51.100.0/24', 'documentation (198.51.100.0/24)'],
	['203.0.113.0/24', 'documentation (203.0.113.0/24)'],
	['224.0.0.0/4', 'multicast (224.0.0.0/4)'],
	['255.255.255.255/32', 'broadcast'],
	['240.0.0.0/4', 'reserved (240.0.0.0/4)'],
];

const IPV6: readonly Entry4[] = [
	['::/128', 'unspecified (::)'],
	['::1/128', 'loopback (::1)'],
	['::ffff:0:0/96', 'IPv4-mapped (::ffff:0:0/96)'],
	['::ffff:0:0:0/96', 'IPv4-translated (::ffff:0:0:0/96)'],
	['::/96', 'IPv4-compatible (::/96)'],
	['64:ff9b::/96', 'NAT64 (64:ff9b::/96)'],
	['64:ff9b:1::/48', 'local NAT64 (64:ff9b:1::/48)'],
	['100::/64', 'discard (100::/64)'],
	['2001::/32', 'Teredo (2001::/32)'],
	['2001:2::/48', 'benchmarks (2001:2::/48)'],
	['2001:db8::/32', 'documentation (2001:db8::/32)'],
	['2001:10::/28', 'ORCHID (2001:10::/28)'],
	['2001:20::/28', 'ORCHIDv2 (2001:20::/28)'],
	['2001::/23', 'IETF protocol assignments (2001::/23)'],
	['2002::/16', '6to4 (2002::/16)'],
	['2620:4f:8000::/48', 'AS112 (2620:4f:8000::/48)'],
	['3fff::/20', 'documentation (3fff::/20)'],
	['5f00::/16', 'segment routing (5f00::/16)'],
	['fd00:ec2::254/128', 'a cloud metadata service'],
	['fd20:ce::254/128', 'a cloud metadata service'],
	['fc00::/7', 'unique local (fc00::/7)'],
	['fe80::/10', 'link-local (fe80::/10)'],
	['fec0::/10', 'site-local (fec0::/10)'],
	['ff00::/8', 'multicast (ff00::/8)'],
];

interface Range<Address> {
	readonly network: [Address, number];
	readonly why: string;
}

const RANGES4: readonly Range<ipaddr.IPv4>[] = IPV4.map(([range, why]) => ({
	network: ipaddr.IPv4.parseCIDR(range),
	why,
}));
const RANGES6: readonly Range<ipaddr.IPv6>[] = IPV6.map(([range, why]) => ({
	network: ipaddr.IPv6.parseCIDR(range),
	why,
}));
/** Global unicast (RFC 4291 §2.4, IANA): what is outside is not assigned to anyone. */
const GLOBAL6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Why an address may not be dialled for an undeclared target; undefined when it is public unicast. Takes only the
 * plain spelling (four decimal parts, or RFC 4291 without a zone); what is not one is forbidden too.
 */
export function forbiddenAddress(ip: string): string | undefined {
	if (isIPv4(ip) && ipaddr.IPv4.isValidFourPartDecimal(ip)) {
		const address = ipaddr.IPv4.parse(ip);
		return RANGES4.find(range => address.match(range.network))?.why;
	}
	if (isIPv6(ip) && !ip.includes('%')) {
		const address = ipaddr.IPv6.parse(hexTail(ip));
		const known = RANGES6.find(range => address.match(range.network));
		if (known !== undefined) return known.why;
		return address.match(GLOBAL6) ? undefined : 'outside global unicast (2000::/3)';
	}
	return ip.includes('%') ? 'an address with a zone' : 'not a plain address';
}

/** `::1.2.3.4` -> `::102:304`. ipaddr.js takes `::1.2.3.4` for `::ffff:1.2.3.4`; what connects does not. */
function hexTail(ip: string): string {
	const match = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(ip);
	if (match === null) return ip;
	const [a = 0, b = 0, c = 0, d = 0] = match.slice(2).map(Number);
	return `${match[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** The plain spelling of an address: `192.0.2.1`, `2001:db8::1`; no brackets, no zone. */
const isAddressLiteral = (host: string): boolean =>
	(isIPv4(host) && ipaddr.IPv4.isValidFourPartDecimal(host)) || (isIPv6(host) && !host.includes('%'));

/**
 * True for what some resolver takes for an address although it is not in the plain spelling: `127.1`, `0x7f.1`,
 * `017.0.0.1`, `2130706433`, `1.2.3.4.`, `fe80::1%eth0`; it must be refused, because they disagree about it. A name
 * whose last label is a number is one of these: the URL standard (§3.5, "ends in a number checker") reads it as IPv4 or
 * refuses it, and no top-level domain is a number.
 */
export const looksLikeAddress = (host: string): boolean =>
	(host.includes(':') || host.includes('%') || NUMBER_AT_THE_END.test(host)) && !isAddressLiteral(host);

const NUMBER_AT_THE_END = /(?:^|\.)(?:\d+|0[xX][0-9a-fA-F]*)\.?$/;
