// An agent that shows its SVID to the proxy: HTTP by mutual TLS.
// node researcher.mjs METHOD URL [BODY]
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const { SALLYPORT_PROXY, SALLYPORT_CA, SALLYPORT_CERT, SALLYPORT_KEY } = process.env;
const [method = 'GET', url = '', body] = process.argv.slice(2);
const tunnel = method === 'CONNECT';

const call = request({
	...proxy(SALLYPORT_PROXY),
	ca: readFileSync(SALLYPORT_CA),
	// Without a certificate nobody is known.
	...(SALLYPORT_CERT ? { cert: readFileSync(SALLYPORT_CERT), key: readFileSync(SALLYPORT_KEY) } : {}),
	method,
	path: url,
	headers: { host: tunnel ? url : new URL(url).host, ...(body ? { 'content-type': 'application/json' } : {}) },
});
call.on('response', tell);
call.on('connect', tell);
call.on('error', error => console.log(JSON.stringify({ error: error.message })));
call.end(body);

function proxy(text) {
	const { hostname, port } = new URL(text);
	// Otherwise Node would expect the name of the Host header in the proxy's certificate.
	return { host: hostname, port, servername: hostname };
}

async function tell(answer, socket, head = '') {
	let text = String(head);
	for await (const chunk of socket ?? answer) text += chunk;
	const start = text.search(/[{[]/);
	console.log(JSON.stringify({ status: answer.statusCode, body: start < 0 ? null : JSON.parse(text.slice(start)) }));
}
