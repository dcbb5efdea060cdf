// An ordinary program that knows nothing of Sallyport: `sallyport exec --agent clerk -- node clerk.mjs METHOD URL [BODY]`
// gives it proxy and token in its environment.
import { request } from 'node:http';

const [method = 'GET', url = '', body] = process.argv.slice(2);

const call = request(url, { method, headers: body ? { 'content-type': 'application/json' } : {} });
call.on('response', async answer => {
	let text = '';
	for await (const chunk of answer) text += chunk;
	console.log(JSON.stringify({ status: answer.statusCode, body: text === '' ? null : JSON.parse(text) }));
});
call.on('error', error => console.log(JSON.stringify({ error: error.message })));
call.end(body);
