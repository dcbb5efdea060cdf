// Calls by undici's fetch. The way is the first argument; addresses are in the environment.
import { readFileSync } from 'node:fs';
import { Agent, EnvHttpProxyAgent, fetch, Pool, ProxyAgent } from 'undici';

const { env } = process;
const way = process.argv[2];
const ca = readFileSync(env.CA);
const svid = { ca, cert: readFileSync(env.CERT), key: readFileSync(env.KEY) };

const pool = (origin, options) => new Pool(origin, { ...options, connect: { socketPath: env.PROXY_SOCKET } });

const ways = {
	mtls_http: () => new ProxyAgent({ uri: env.PROXY_MTLS, proxyTls: svid, proxyTunnel: false }),
	mtls_connect: () => new ProxyAgent({ uri: env.PROXY_MTLS, proxyTls: svid, requestTls: { ca } }),
	token_http: () => new ProxyAgent({ uri: env.PROXY_TOKEN }),
	token_connect: () => new ProxyAgent({ uri: env.PROXY_TOKEN, requestTls: { ca } }),
	// The pool of connections to the proxy can be made by hand.
	socket_connect: () => new ProxyAgent({ uri: 'http://localhost', requestTls: { ca }, clientFactory: pool }),
	door_mtls: () => new Agent({ connect: svid }),
	door_token: () => new Agent(),
	door_socket: () => new Agent({ connect: { socketPath: env.DOOR_SOCKET } }),
	exec_http: () => new EnvHttpProxyAgent(),
	exec_connect: () => new EnvHttpProxyAgent(),
};

try {
	if (way === 'socket_http') {
		// fetch would send the path alone; a request of undici takes an absolute URL for its path.
		const { statusCode, body } = await pool(new URL(env.TARGET).origin).request({ method: 'GET', path: env.TARGET });
		console.log(JSON.stringify({ status: statusCode, body: await body.text() }));
		process.exit();
	}
	const options = { dispatcher: ways[way]() };
	let url = env.TARGET;
	if (way === 'door_mtls') url = env.DOOR_MTLS;
	if (way === 'door_socket') url = 'http://crm/hello';
	if (way === 'door_token') {
		// fetch refuses URLs with a password.
		const door = new URL(env.DOOR_TOKEN);
		options.headers = { authorization: `Bearer ${door.password}` };
		door.username = '';
		door.password = '';
		url = door.href;
	}
	const answer = await fetch(url, options);
	console.log(JSON.stringify({ status: answer.status, body: await answer.text() }));
} catch (error) {
	console.log(JSON.stringify({ error: `${error.message}: ${error.cause?.message}` }));
}
process.exit();
