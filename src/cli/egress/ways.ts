import { readFileSync } from 'node:fs';
import { hostPortText } from '../../formats/host-port.ts';
import { ownCapabilities } from './capabilities.ts';
import { DNS_QUERY, probeTcp, probeUdp, QUIC_TRIAL, type Result } from './probe.ts';

/** One way out that was tried. */
export interface Way extends Result {
	/** `tcp`, `dns-tcp`, `dns-udp`, `udp`, `quic`, `metadata`, `resolver-tcp`, `resolver-udp`, `capabilities`. */
	readonly way: string;
	/** `HOST:PORT`; absent where there is none. */
	readonly to?: string;
}

export interface Trial {
	/** A server that answers on 53, 80 and 443, by TCP and UDP. */
	readonly v4: string;
	readonly v6: string;
	/** Milliseconds for each. */
	readonly limit: number;
}

/** Of the clouds: IPv4 is the same for nearly all of them. */
const METADATA = ['169.254.169.254', 'fd00:ec2::254'] as const;
const HTTP = 80;
const HTTPS = 443;
const DNS = 53;
/** A port that nothing is known for: a rule that closes 53 and 443 alone lets it through. */
const OTHER = 9000;
/** Whoever is tried takes connections there. */
const LISTENING: readonly number[] = [DNS, HTTP, HTTPS];

/** Tries every way, all at once. */
export async function tryWays({ v4, v6, limit }: Trial): Promise<readonly Way[]> {
	const tcp = async (way: string, address: string, port: number): Promise<Way> => ({
		way,
		to: hostPortText(address, port),
		...(await probeTcp(address, port, limit, LISTENING.includes(port))),
	});
	const udp = async (way: string, address: string, port: number, datagram: Buffer): Promise<Way> => ({
		way,
		to: hostPortText(address, port),
		...(await probeUdp(address, port, datagram, limit)),
	});
	const both = [v4, v6];
	const resolvers = resolversOf(readResolvConf());
	return Promise.all([
		...both.flatMap(address => [tcp('tcp', address, HTTP), tcp('tcp', address, HTTPS), tcp('tcp', address, OTHER)]),
		...both.map(address => tcp('dns-tcp', address, DNS)),
		...both.map(address => udp('dns-udp', address, DNS, DNS_QUERY)),
		...both.map(address => udp('quic', address, HTTPS, QUIC_TRIAL)),
		...both.map(address => udp('udp', address, OTHER, DNS_QUERY)),
		...METADATA.map(address => tcp('metadata', address, HTTP)),
		...resolvers.flatMap(address => [tcp('resolver-tcp', address, DNS), udp('resolver-udp', address, DNS, DNS_QUERY)]),
		Promise.resolve({ way: 'capabilities', ...ownCapabilities() }),
	]);
}

function readResolvConf(): string {
	try {
		return readFileSync('/etc/resolv.conf', 'utf8');
	} catch {
		return '';
	}
}

/** resolv.conf(5); loopback is no way out of the pod by itself. */
export const resolversOf = (text: string): readonly string[] =>
	[...text.matchAll(/^\s*nameserver\s+([0-9a-fA-F:.]+)/gm)]
		.map(([, address = '']) => address)
		.filter(address => address !== '::1' && !address.startsWith('127.'));
