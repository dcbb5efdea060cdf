import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { BundleEndpoint } from '../../src/identity/bundles/https-web.ts';
import { LOOPBACK_NAMES } from '../../src/identity/dev-ca.ts';
import { keyToPem } from '../../src/identity/mint.ts';
import { authority, bundleDocument } from '../support/spiffe.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { ca, leaf, pem } from './pki.ts';

/** Bundle endpoints with the profile https_web, on a real server. */

const web = ca('Web PKI');
const server = leaf(web, { names: LOOPBACK_NAMES });
const root = authority('other.org');
const second = authority('other.org');

interface Endpoint {
	readonly url: string;
	requests: number;
	answer: (response: ServerResponse, request: IncomingMessage) => void;
}

const document =
	(...args: Parameters<typeof bundleDocument>) =>
	(response: ServerResponse): void =>
		void response.end(bundleDocument(...args));

async function serve(t: TestContext, answer: Endpoint['answer']): Promise<Endpoint> {
	const http = createServer({ cert: pem(server), key: keyToPem(server.key) }, (request, response) => {
		endpoint.requests++;
		endpoint.answer(response, request);
	});
	await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		http.closeAllConnections();
		http.close();
	});
	const endpoint: Endpoint = {
		url: `https://localhost:${(http.address() as AddressInfo).port}/bundle?of=other`,
		requests: 0,
		answer,
	};
	return endpoint;
}

interface Opened {
	readonly source: BundleEndpoint;
	/** What was told. */
	readonly news: (string | undefined)[];
	readonly workspace: Workspace;
}

async function open(
	t: TestContext,
	url: string,
	{ roots = pem(web), refresh }: { roots?: string; refresh?: number } = {},
): Promise<Opened> {
	const workspace = makeWorkspace(t);
	const news: (string | undefined)[] = [];
	const source = new BundleEndpoint(
		'other.org',
		{ url, refresh, roots: workspace.write('web.pem', roots) },
		{ clock: { now: () => Date.now() }, news: ({ broken }) => news.push(broken), shortestHint: 500 },
	);
	t.after(() => source.close());
	await source.start();
	return { source, news, workspace };
}

test('a bundle is fetched by a GET of the whole URL, and again as often as it asks for', async t => {
	const seen: string[] = [];
	const endpoint = await serve(t, (response, request) => {
		seen.push(`${request.method} ${request.url}`);
		document([root], { members: { spiffe_refresh_hint: 1, spiffe_sequence: 5 } })(response);
	});
	const { source, news } = await open(t, endpoint.url);
	await until(() => source.current(), 'the bundle is there');
	assert.deepEqual(seen, ['GET /bundle?of=other']);
	assert.deepEqual(news, [undefined]);
	const { kind, from, cas, sequence, refreshed, problem } = source.status();
	assert.deepEqual([kind, from, cas, sequence, problem], ['https_web', endpoint.url, 1, 5n, undefined]);
	assert.ok(Date.now() - (refreshed ?? 0) < 60_000);
	endpoint.answer = document([root, second], { members: { spiffe_refresh_hint: 1, spiffe_sequence: 6 } });
	await until(() => source.current()?.trust.anchors.length === 2, 'it is fetched again');
	assert.deepEqual(news, [undefined, undefined]);
});

test('what the configuration says of the time between fetches counts for more', async t => {
	const endpoint = await serve(t, document([root], { members: { spiffe_refresh_hint: 3600 } }));
	await open(t, endpoint.url, { refresh: 100 });
	await until(() => endpoint.requests >= 2, 'it is fetched again');
});

test('a failure leaves the last good bundle, and is told once', async t => {
	const endpoint = await serve(t, document([root]));
	const { source, news } = await open(t, endpoint.url);
	await until(() => source.current(), 'the bundle is there');
	const cases: readonly [Endpoint['answer'], RegExp][] = [
		[response => void response.writeHead(500).end(), /answers 500/],
		[
			response => void response.writeHead(302, { location: '/other' }).end(),
			/redirects \(302\), which is not followed/,
		],
		[response => void response.end('rubbish'), /no JSON/],
		[response => void response.end(pem(root)), /no JSON/],
		[response => void response.end(' '.repeat(1024 * 1024 + 1)), /larger than 1 MiB/],
		[response => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'), /encoded/],
		[response => void response.writeHead(204).end(), /answers 204/],
		[response => void response.destroy(), /could not be fetched/],
		[
			response => {
				response.writeHead(200, { 'content-length': 100 }).write('{');
				setImmediate(() => response.destroy());
			},
			/could not be fetched/,
		],
	];
	for (const [answer, why] of cases) {
		endpoint.answer = answer;
		news.length = 0;
		assert.match((await source.reload())?.broken ?? '', why);
		await source.reload();
		assert.equal(news.length, 1);
		assert.equal(source.status().cas, 1);
		assert.match(source.status().problem ?? '', why);
		endpoint.answer = document([root]);
		assert.equal(await source.reload(), undefined);
		assert.equal(news.length, 2);
	}
	assert.equal(cases.length * 3 + 1, endpoint.requests);
	endpoint.answer = document([root, second]);
	assert.equal(await source.reload(), undefined);
	assert.deepEqual([source.status().problem, source.status().cas], [undefined, 2]);
});

test('an older sequence does not bring back what was withdrawn; an empty bundle is taken', async t => {
	const endpoint = await serve(t, document([root], { members: { spiffe_sequence: 7 } }));
	const { source } = await open(t, endpoint.url);
	await until(() => source.current(), 'the bundle is there');
	endpoint.answer = document([root, second], { members: { spiffe_sequence: 6 } });
	assert.match((await source.reload())?.broken ?? '', /spiffe_sequence 6 is older than 7/);
	assert.equal(source.status().cas, 1);
	endpoint.answer = document([], { members: { spiffe_sequence: 8 } });
	assert.equal(await source.reload(), undefined);
	assert.equal(source.status().cas, 0);
});

test('a server that another CA vouches for, or of another name, is not believed', async t => {
	const endpoint = await serve(t, document([root]));
	for (const [url, roots] of [
		[endpoint.url, pem(ca('another'))],
		[endpoint.url.replace('localhost', '127.0.0.2'), pem(web)],
	] as const) {
		const { source, news } = await open(t, url, { roots });
		await until(() => news.length > 0, 'it was tried');
		assert.match(news[0] ?? '', /^it could not be fetched/);
		assert.equal(source.current(), undefined);
	}
	assert.equal(endpoint.requests, 0);
});

test('while there is no bundle at all, it is tried again soon', async t => {
	const endpoint = await serve(t, response => void response.writeHead(503).end());
	const { source } = await open(t, endpoint.url);
	await until(() => endpoint.requests === 1, 'it was tried');
	endpoint.answer = document([root]);
	await until(() => source.current(), 'it is tried again');
});
