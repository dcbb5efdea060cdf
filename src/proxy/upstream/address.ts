import type { LookupAddress } from 'node:dns';
import { networkInterfaces } from 'node:os';
import { forbiddenAddress } from '../../formats/ip-range.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { Target } from '../../model/target.ts';

/** An address that was checked, and so may be connected to. */
export interface Checked {
	readonly address: string;
	readonly port: number;
}

/** Sockets that Sallyport listens on; never a target, however they are named. */
export interface OwnSockets {
	/** Address and port of each TCP listener, admin's included. */
	list(): readonly Checked[];
}

const MAX_ADDRESSES = 16;

/**
 * Resolves a target and checks every address: what is dialled later is one of these literals, so that a second
 * look-up cannot give another answer. Declared upstreams may have any address but Sallyport's own; undeclared
 * targets only public unicast ones, and one bad address among several spoils them all.
 */
export async function resolveTarget(
	target: Target,
	dialled: { readonly host: string; readonly port: number },
	own: OwnSockets,
	look: (host: string) => Promise<LookupAddress[]>,
): Promise<readonly Checked[] | Refused> {
	let found: LookupAddress[];
	try {
		found = await look(dialled.host);
	} catch (error) {
		return refused(
			'name_unresolved',
			`${dialled.host} could not be resolved (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
		);
	}
	const addresses = found.slice(0, MAX_ADDRESSES);
	if (addresses.length === 0) return refused('name_unresolved', `${dialled.host} has no address`);
	for (const { address } of addresses) {
		if (isOwn(address, dialled.port, own))
			return refused('address_forbidden', `${dialled.host} is a socket of Sallyport's own`);
		if (target.upstream !== undefined) continue;
		const why = forbiddenAddress(address);
		if (why !== undefined) return refused('address_forbidden', `${dialled.host} has an address that is ${why}`);
	}
	if (target.upstream === undefined && target.address !== undefined)
		return captured(target.address, addresses, dialled);
	return addresses.map(({ address }) => ({ address, port: dialled.port }));
}

/** What a captured connection claims to go to must be where it was going, and that address alone is dialled. */
function captured(
	meant: string,
	found: readonly LookupAddress[],
	{ host, port }: { readonly host: string; readonly port: number },
): readonly Checked[] | Refused {
	return found.some(({ address }) => address === meant)
		? [{ address: meant, port }]
		: refused('target_mismatch', `${host} does not resolve to ${meant}, to which the agent connected`);
}

/** True if connecting to the address would reach one of Sallyport's own listeners. */
export function isOwn(address: string, port: number, own: OwnSockets): boolean {
	const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
	for (const socket of own.list()) {
		if (socket.port !== port) continue;
		if (socket.address === plain || socket.address === address) return true;
		if (socket.address !== '0.0.0.0' && socket.address !== '::') continue;
		if (plain.startsWith('127.') || plain === '::1' || plain === '0.0.0.0' || plain === '::') return true;
		for (const list of Object.values(networkInterfaces())) if (list?.some(one => one.address === plain)) return true;
	}
	// 0.0.0.0 and :: connect to loopback.
	return (plain === '0.0.0.0' || plain === '::') && own.list().some(socket => socket.port === port);
}
