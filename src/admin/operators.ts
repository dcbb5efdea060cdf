import type { Socket } from 'node:net';
import { matchesAny } from '../formats/spiffe-pattern.ts';
import type { ReadPeerCredentials } from '../identity/peer-credentials.ts';
import type { Identity } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';

/** Who administers, as records name them. */
export interface Operator {
	/** `uid:1000`, or a SPIFFE ID. */
	readonly name: string;
	/** What else the record says of this use: the process on the other end, the serial of the SVID. */
	readonly detail: Readonly<Record<string, unknown>>;
}

/** Somebody who may not. `claimed` is what is known of them, for the record. */
export interface Stranger extends Refused {
	readonly claimed?: string;
}

/** By the kernel's word: user ids that may use the socket. */
export function judgeByUser(
	users: readonly number[],
	read: ReadPeerCredentials,
): (socket: Socket) => Operator | Stranger {
	const allowed: ReadonlySet<number> = new Set(users);
	return socket => {
		const peer = read(socket);
		if (peer === undefined) return refused('identity_missing', 'the kernel does not say who connected');
		const name = `uid:${peer.uid}`;
		if (!allowed.has(peer.uid))
			return { ...refused('listener_forbidden', `${name} may not use the control socket`), claimed: name };
		return { name, detail: { via: 'socket', pid: peer.pid } };
	};
}

/** By what mutual TLS found out. `revoked`: why somebody's access has been ended. */
export function judgeById(
	operators: readonly string[],
	revoked: (identity: Identity) => Refused | undefined,
): (identity: Identity | Refused) => Operator | Stranger {
	const isOperator = matchesAny(operators);
	return identity => {
		if ('cause' in identity) return identity;
		const { id } = identity.agent;
		if (!isOperator(id))
			return { ...refused('listener_forbidden', 'the id matches none of `admin.control.operators`'), claimed: id };
		const ended = revoked(identity);
		if (ended !== undefined) return { ...ended, claimed: id };
		return {
			name: id,
			detail: { via: 'address', ...(identity.serial === undefined ? {} : { serial: identity.serial }) },
		};
	};
}
