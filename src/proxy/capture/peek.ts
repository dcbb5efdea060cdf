import type { Socket } from 'node:net';
import { type ClientHello, readClientHello } from '../../formats/client-hello.ts';
import { type Refused, refused } from '../../model/cause.ts';

/** What a connection turned out to speak. Whatever was read of it is back in the socket, which is paused. */
export type Peeked =
	| { readonly kind: 'http' }
	| { readonly kind: 'tls'; readonly hello: ClientHello }
	/** Something else, or nothing yet: perhaps the server speaks first. */
	| { readonly kind: 'opaque' }
	| { readonly kind: 'refused'; readonly refused: Refused }
	/** The agent closed it before anything could be told. */
	| { readonly kind: 'gone' };

/** Milliseconds. */
export interface PeekLimits {
	/** Until the first byte. */
	readonly silent: number;
	/** Until it can be told. */
	readonly whole: number;
}

const TLS_HANDSHAKE = 22;
/** The methods of the IANA registry that are longest have 17 letters. */
const LONGEST_METHOD = 24;
/** The beginning of a request line of HTTP (RFC 9112 §3), HTTP/2's preface (RFC 9113 §3.4) included. */
const METHOD = /^[A-Z][A-Z_-]*(?: |$)/;

/** Looks at the first bytes of a connection. `done` runs once, never synchronously; the returned function takes it back. */
export function peek(socket: Socket, limits: PeekLimits, done: (peeked: Peeked) => void): () => void {
	let bytes: Buffer = Buffer.alloc(0);
	const release = (): void => {
		clearTimeout(timer);
		socket.removeListener('data', onData);
		socket.removeListener('end', onGone);
		socket.removeListener('close', onGone);
	};
	const finish = (peeked: Peeked): void => {
		release();
		socket.pause();
		if (bytes.length > 0 && peeked.kind !== 'gone') socket.unshift(bytes);
		done(peeked);
	};
	const onData = (more: Buffer): void => {
		if (bytes.length === 0) {
			clearTimeout(timer);
			timer = setTimeout(
				() => finish({ kind: 'refused', refused: refused('limit_exceeded', 'limits.handshake') }),
				limits.whole,
			);
		}
		bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
		const told = tell(bytes);
		if (told !== 'more') finish(told);
	};
	const onGone = (): void => finish({ kind: 'gone' });
	let timer = setTimeout(() => finish({ kind: 'opaque' }), limits.silent);
	socket.on('data', onData);
	socket.on('end', onGone);
	socket.on('close', onGone);
	return release;
}

/** What begins like TLS or HTTP is that, or is refused: it is never let through as something unknown. */
function tell(bytes: Buffer): Peeked | 'more' {
	if (bytes[0] === TLS_HANDSHAKE) {
		if (bytes.length < 2) return 'more';
		if (bytes[1] !== 3) return { kind: 'opaque' };
		const hello = readClientHello(bytes);
		if (hello === 'more') return 'more';
		return 'broken' in hello
			? { kind: 'refused', refused: refused('undecodable', `TLS: ${hello.broken}`) }
			: { kind: 'tls', hello };
	}
	const start = bytes.toString('latin1', 0, LONGEST_METHOD);
	if (!METHOD.test(start)) return { kind: 'opaque' };
	if (start.includes(' ')) return { kind: 'http' };
	return start.length < LONGEST_METHOD ? 'more' : { kind: 'opaque' };
}
