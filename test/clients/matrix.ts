/**
 * What each client can do. The tests hold every `yes` and `no` against the real client; docs/clients.md is made from
 * it by `node test/clients/page.ts`.
 */

export const WAYS = [
	'mtls_http',
	'mtls_connect',
	'token_http',
	'token_connect',
	'socket_http',
	'socket_connect',
	'door_mtls',
	'door_token',
	'door_socket',
	'exec_http',
	'exec_connect',
] as const;
export type Way = (typeof WAYS)[number];

export type Cell =
	/** It works; the note says by what, where that is not plain. */
	| { readonly can: 'yes'; readonly note?: string }
	/** It is tried, and fails with this. */
	| { readonly can: 'no'; readonly fails: RegExp; readonly note: string }
	/** It has no setting for it. */
	| { readonly can: 'none'; readonly note?: string };

export interface Client {
	/** As the page names it. */
	readonly name: string;
	/** Tested with. */
	readonly version: string;
	readonly cells: Readonly<Record<Way, Cell>>;
}

const yes = (note?: string): Cell => (note === undefined ? { can: 'yes' } : { can: 'yes', note });
const none = (note?: string): Cell => (note === undefined ? { can: 'none' } : { can: 'none', note });
const no = (fails: RegExp, note: string): Cell => ({ can: 'no', fails, note });

const curl: Client = {
	name: 'curl',
	version: '7.88',
	cells: {
		mtls_http: yes('`--proxy https://… --proxy-cert --proxy-key --proxy-cacert`'),
		mtls_connect: yes('the same'),
		token_http: yes('`--proxy http://NAME:TOKEN@…`'),
		token_connect: yes('the same'),
		socket_http: yes('`--unix-socket PATH --request-target URL`'),
		socket_connect: no(
			/Could not resolve host|Couldn't|Connection refused|SSL|wrong version/i,
			'`--unix-socket` sets the proxy aside',
		),
		door_mtls: yes('`--cert --key --cacert`'),
		door_token: yes('in the URL'),
		door_socket: yes('`--unix-socket`'),
		exec_http: yes(),
		exec_connect: yes(),
	},
};

const httpx: Client = {
	name: 'Python httpx',
	version: '0.28.1',
	cells: {
		mtls_http: yes('`httpx.Proxy(url, ssl_context=…)`'),
		mtls_connect: yes('the same'),
		token_http: yes('`proxy="http://NAME:TOKEN@…"`'),
		token_connect: yes('the same'),
		socket_http: yes('`HTTPTransport(uds=…)`, and the URL as `extensions={"target": …}`'),
		socket_connect: none(),
		door_mtls: yes('`verify=context`'),
		door_token: yes('in the URL'),
		door_socket: yes('`HTTPTransport(uds=…)`'),
		exec_http: yes(),
		exec_connect: yes(),
	},
};

const requests: Client = {
	name: 'Python requests',
	version: '2.34.2',
	cells: {
		mtls_http: yes('an `HTTPAdapter` that hands `proxy_ssl_context` to urllib3'),
		mtls_connect: yes('the same'),
		token_http: yes('`proxies={"http": "http://NAME:TOKEN@…"}`'),
		token_connect: yes('the same; before Python 3.12 by HTTP/1.0'),
		socket_http: none('needs another package'),
		socket_connect: none(),
		door_mtls: yes('`cert=`, `verify=`'),
		door_token: yes('in the URL'),
		door_socket: none('needs another package'),
		exec_http: yes(),
		exec_connect: yes(),
	},
};

const aiohttp: Client = {
	name: 'Python aiohttp',
	version: '3.14.5',
	cells: {
		mtls_http: yes('`proxy="https://…", ssl=context`'),
		mtls_connect: yes('the same; the target is shown the certificate too, if it asks'),
		token_http: yes('`proxy="http://NAME:TOKEN@…"`'),
		token_connect: yes('the same'),
		socket_http: none(),
		socket_connect: none(),
		door_mtls: yes('`ssl=context`'),
		door_token: yes('in the URL'),
		door_socket: yes('`UnixConnector(path)`'),
		exec_http: yes('needs `ClientSession(trust_env=True)`'),
		exec_connect: yes('the same'),
	},
};

const TUNNELS =
	'fetch opens a tunnel for `http://` too, and Sallyport refuses tunnels to upstreams whose calls it inspects: use a door, or undici';

const nodeFetch: Client = {
	name: 'Node fetch',
	version: '24.20.0',
	cells: {
		mtls_http: none(),
		mtls_connect: none(),
		token_http: no(/fetch failed/, TUNNELS),
		token_connect: yes('`HTTPS_PROXY` and `NODE_USE_ENV_PROXY=1`'),
		socket_http: none(),
		socket_connect: none(),
		door_mtls: none(),
		door_token: yes('`Authorization: Bearer TOKEN`; not in the URL'),
		door_socket: none(),
		exec_http: no(/fetch failed/, TUNNELS),
		exec_connect: yes(),
	},
};

const nodeHttp: Client = {
	name: 'Node http, https',
	version: '24.20.0',
	cells: {
		mtls_http: yes('by hand: `https.request({ ...proxy, cert, key, servername, path: url })`'),
		mtls_connect: yes("by hand: `method: 'CONNECT'`, then TLS over the socket"),
		token_http: yes('`new http.Agent({ proxyEnv })`, or `NODE_USE_ENV_PROXY=1`'),
		token_connect: yes('`new https.Agent({ proxyEnv })`, or the same'),
		socket_http: yes('by hand: `socketPath`, `path: url`'),
		socket_connect: yes("by hand: `socketPath`, `method: 'CONNECT'`"),
		door_mtls: yes('`cert`, `key`, `ca`'),
		door_token: yes('in the URL'),
		door_socket: yes('`socketPath`'),
		exec_http: yes(),
		exec_connect: yes(),
	},
};

const undici: Client = {
	name: 'undici',
	version: '8.12.4',
	cells: {
		mtls_http: yes('`ProxyAgent({ uri, proxyTls: { cert, key, ca }, proxyTunnel: false })`'),
		mtls_connect: yes('`ProxyAgent({ uri, proxyTls: { cert, key, ca } })`'),
		token_http: yes('`ProxyAgent({ uri: "http://NAME:TOKEN@…" })`'),
		token_connect: yes('the same'),
		socket_http: yes('`Pool` with `connect: { socketPath }`, and `request({ path: url })`'),
		socket_connect: yes('`ProxyAgent` with `clientFactory`'),
		door_mtls: yes('`Agent({ connect: { cert, key, ca } })`'),
		door_token: yes('`Authorization: Bearer TOKEN`; not in the URL'),
		door_socket: yes('`Agent({ connect: { socketPath } })`'),
		exec_http: yes('`EnvHttpProxyAgent`'),
		exec_connect: yes('the same'),
	},
};

const go: Client = {
	name: 'Go net/http',
	version: '1.26',
	cells: {
		mtls_http: yes('`Transport{Proxy, TLSClientConfig}`'),
		mtls_connect: yes('the same; the target is shown the certificate too, if it asks'),
		token_http: yes('`Transport{Proxy}`'),
		token_connect: yes('the same'),
		socket_http: yes('`Transport{Proxy, DialContext}`'),
		socket_connect: yes('the same'),
		door_mtls: yes('`TLSClientConfig`'),
		door_token: yes('in the URL'),
		door_socket: yes('`DialContext`'),
		exec_http: yes(),
		exec_connect: yes(),
	},
};

export const CLIENTS = { curl, httpx, requests, aiohttp, nodeFetch, nodeHttp, undici, go } as const;

export const DATABASE_WAYS = ['mtls', 'token', 'socket'] as const;
export type DatabaseWay = (typeof DATABASE_WAYS)[number];

/** A client of Postgres, with the URL that `exec` and `doors` give. */
export interface DatabaseClient {
	readonly name: string;
	readonly version: string;
	readonly cells: Readonly<Record<DatabaseWay, Cell>>;
}

const everything = { mtls: yes(), token: yes(), socket: yes() };

export const DATABASE_CLIENTS = {
	psql: { name: 'psql', version: '15', cells: everything },
	pg: { name: 'Node pg', version: '8.23.1', cells: everything },
	psycopg: { name: 'Python psycopg', version: '3.3.9', cells: everything },
} as const satisfies Readonly<Record<string, DatabaseClient>>;
