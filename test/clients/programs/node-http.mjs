// Calls by node:http and node:https. The way is the first argument; addresses are in the environment.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const { env } = process;
const way = process.argv[2];
const ca = readFileSync(env.CA);
const svid = { ca, cert: readFileSync(env.CERT), key: readFileSync(env.KEY) };

/** Where a proxy is. Its name is said, or Node would look for that of the Host header in its certificate. */
const place = text => ({ host: new URL(text).hostname, port: new URL(text).port, servername: new URL(text).hostname });
const target = env.TARGET === undefined ? undefined : new URL(env.TARGET);
const absolute = () => ({ path: target.href, headers: { host: target.host } });

const ways = {
	mtls_http: () => https.get({ ...place(env.PROXY_MTLS), ...svid, ...absolute() }, tell),
	mtls_connect: () => tunnel(https.request({ ...place(env.PROXY_MTLS), ...svid, ...connect() })),
	// By the agent's own setting, which takes what the environment would hold.
	token_http: () => http.get(target, { agent: new http.Agent({ proxyEnv: { HTTP_PROXY: env.PROXY_TOKEN } }) }, tell),
	token_connect: () =>
		https.get(target, { agent: new https.Agent({ ca, proxyEnv: { HTTPS_PROXY: env.PROXY_TOKEN } }) }, tell),
	socket_http: () => http.get({ socketPath: env.PROXY_SOCKET, ...absolute() }, tell),
	socket_connect: () => tunnel(http.request({ socketPath: env.PROXY_SOCKET, ...connect() })),
	door_mtls: () => https.get(env.DOOR_MTLS, svid, tell),
	door_token: () => http.get(env.DOOR_TOKEN, tell),
	door_socket: () => http.get({ socketPath: env.DOOR_SOCKET, path: '/hello' }, tell),
	exec_http: () => http.get(env.TARGET, tell),
	exec_connect: () => https.get(env.TARGET, tell),
};
ways[way]()?.on('error', complain);

function connect() {
	return { method: 'CONNECT', path: target.host, headers: { host: target.host } };
}

function tunnel(request) {
	request.on('error', complain);
	request.on('connect', (answer, socket) => {
		if (answer.statusCode !== 200) complain(new Error(`CONNECT: ${answer.statusCode}`));
		else https.get(target, { socket, ca, servername: target.hostname, agent: false }, tell).on('error', complain);
	});
	request.end();
}

async function tell(answer) {
	let body = '';
	for await (const chunk of answer) body += chunk;
	console.log(JSON.stringify({ status: answer.statusCode, body }));
	process.exit();
}

function complain(error) {
	console.log(JSON.stringify({ error: error.message }));
	process.exit();
}
