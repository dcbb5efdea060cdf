import { isLoopback } from '../formats/host-port.ts';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import type { Authentication } from '../model/agent.ts';
import type { Config, ListenerConfig } from './schema.ts';
import { kindOf, takesTls, waysOf } from './way.ts';
import type { WayConfig } from './ways.ts';

type Path = readonly (string | number)[];
type Fail = (path: Path, message: string) => void;

/** Fields that say how a message is framed or where it goes: no credential can stand there. */
const NO_CREDENTIAL: ReadonlySet<string> = new Set([
	'connection',
	'content-encoding',
	'content-length',
	'content-type',
	'expect',
	'host',
	'http2-settings',
	'keep-alive',
	'proxy-connection',
	'te',
	'trailer',
	'transfer-encoding',
	'upgrade',
]);

/** What the kernel says of a user who is not mapped into Sallyport's user namespace. */
const OVERFLOW_USER = 65_534;

/** Where one way of a listener stands in the configuration. */
const pathOf = (listener: ListenerConfig, index: number, place: number): Path =>
	Array.isArray(listener.authenticate)
		? ['listeners', index, 'authenticate', place]
		: ['listeners', index, 'authenticate'];

/** How agents are known: ways that cannot be where they stand, and ids that are none. */
export function checkWays({ listeners, upstreams, identity, limits }: Config, fail: Fail): void {
	/** Whose token is in which file, over all listeners. */
	const files = new Map<string, string>();
	listeners.forEach((listener, index) => {
		const ways = waysOf(listener);
		const met = new Set<Authentication>();
		ways.forEach((way, place) => {
			const path = pathOf(listener, index, place);
			const kind = kindOf(way);
			if (met.has(kind)) fail(path, `two ways are \`${kind}\``);
			met.add(kind);
			checkIds(way, path, fail);
			const { protocol } = upstreams[listener.upstream ?? ''] ?? {};
			checkPlace({ listener, way, kind, session: protocol === 'tcp' || protocol === 'postgres' }, path, fail);
			if (way !== 'mtls' && 'token' in way && protocol === 'tcp')
				fail([...path, 'token'], 'opaque TCP has no place for a token: expected mtls, or a Unix socket with `as`');
			if (way !== 'mtls' && 'token' in way)
				checkTokens(way.token, [...path, 'token', 'agents'], identity.trust_domain, files, fail);
			const before = ways.slice(0, place).find(other => other !== 'mtls' && ('as' in other || 'unix' in other));
			if (before !== undefined)
				fail(path, `is never tried: by \`${kindOf(before)}\` everybody is known, or refused, already`);
		});
		if (listener.serves === 'captured') {
			checkCaptured(listener, index, fail);
			if (limits.peek === 0) fail(['limits', 'peek'], 'expected more than 0: nobody could say anything first');
		}
		const { address } = listener;
		const borne = ways.find(way => way !== 'mtls' && ('token' in way || 'jwt_svid' in way));
		if (borne !== undefined && address.kind === 'tcp' && !isLoopback(address.host) && !takesTls(listener))
			fail(
				['listeners', index, 'address'],
				`${kindOf(borne) === 'token' ? 'tokens' : 'JWT-SVIDs'} travel in the clear here: expected a loopback address or a Unix socket`,
			);
	});
}

/** Redirected connections come from loopback, to the address of their family, and hold nothing that is for Sallyport. */
function checkCaptured({ address, ...listener }: ListenerConfig, index: number, fail: Fail): void {
	if (address.kind === 'unix' || (address.host !== '127.0.0.1' && address.host !== '::1'))
		fail(['listeners', index, 'address'], 'expected 127.0.0.1:PORT or [::1]:PORT: connections are redirected there');
	const [way, ...more] = waysOf(listener);
	if (way === undefined || kindOf(way) !== 'as' || more.length > 0)
		fail(
			['listeners', index],
			'expected `authenticate: { as: ID }` alone: on connections that are meant for others nothing is shown to Sallyport',
		);
}

interface Placed {
	readonly listener: ListenerConfig;
	readonly way: WayConfig;
	readonly kind: Authentication;
	/** Whether the listener is a door for a session protocol. */
	readonly session: boolean;
}

/** Ways that need a socket, a protocol or a place in the list that is not theirs. */
function checkPlace({ listener, way, kind, session }: Placed, path: Path, fail: Fail): void {
	if (way === 'mtls') {
		if (session && waysOf(listener)[0] !== 'mtls')
			fail(path, 'stands first at a door for a session protocol: a certificate is shown before anything else can be');
		return;
	}
	if (listener.address.kind !== 'unix') {
		if ('as' in way && listener.serves !== 'captured')
			fail([...path, kind], 'only a Unix socket can be reached by one agent alone');
		if ('unix' in way) fail([...path, kind], 'the kernel knows the user on the other end of a Unix socket only');
	}
	if (session && 'token' in way && waysOf(listener).at(-1) !== way)
		fail([...path, kind], 'stands last at a door for a session protocol: a client that is asked for one must have one');
	if (!('jwt_svid' in way)) return;
	const { header } = way.jwt_svid;
	if (session) fail([...path, kind], 'stands in a header, and only HTTP has those');
	if (NO_CREDENTIAL.has(header)) fail([...path, kind, 'header'], `${header} cannot hold a credential`);
	const places = listener.upstream === undefined ? ['proxy-authorization'] : ['proxy-authorization', 'authorization'];
	if (places.includes(header) && waysOf(listener).some(other => other !== 'mtls' && 'token' in other))
		fail([...path, kind], `tokens are shown in ${header} here: name another header`);
}

function checkIds(way: WayConfig, path: Path, fail: Fail): void {
	const id = (text: string, ...more: (string | number)[]): void => {
		const parsed = parseSpiffeId(text);
		if ('broken' in parsed) fail([...path, ...more], `is no SPIFFE ID: ${parsed.broken}`);
	};
	if (way === 'mtls') return;
	if ('as' in way) id(way.as, 'as');
	if ('unix' in way) {
		for (const [user, text] of Object.entries(way.unix.users)) {
			id(text, 'unix', 'users', user);
			if (Number(user) === OVERFLOW_USER)
				fail([...path, 'unix', 'users', user], 'stands for every user that has no id here (user_namespaces(7))');
		}
	}
	if ('token' in way) {
		way.token.agents.forEach((text, place) => {
			id(text, 'token', 'agents', place);
		});
	}
}

function checkTokens(
	{ directory, agents }: { readonly directory: string; readonly agents: readonly string[] },
	path: Path,
	trustDomain: string,
	files: Map<string, string>,
	fail: Fail,
): void {
	agents.forEach((id, place) => {
		const file = `${directory}/${id.slice(id.lastIndexOf('/') + 1)}`;
		const other = files.get(file);
		if (other !== undefined && other !== id)
			fail([...path, place], `${other} has the same last part, and so the same token file`);
		files.set(file, id);
		if (!id.startsWith(`spiffe://${trustDomain}/`)) fail([...path, place], `is not in the trust domain ${trustDomain}`);
	});
}
