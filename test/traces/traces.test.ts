import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

interface Span {
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId?: string;
	readonly name: string;
	readonly status: { readonly code?: number; readonly message?: string };
	readonly attributes: readonly {
		readonly key: string;
		readonly value: { readonly stringValue?: string; readonly intValue?: number };
	}[];
}

interface Exported {
	readonly resourceSpans: readonly {
		readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
	}[];
}

/** A collector that keeps the spans it gets as JSON. */
async function startSpans(t: TestContext) {
	const spans: Span[] = [];
	const authorizations = new Set<string | undefined>();
	const server = createServer((request, response) => {
		const chunks: Buffer[] = [];
		request.on('data', (chunk: Buffer) => chunks.push(chunk));
		request.on('end', () => {
			authorizations.add(request.headers.authorization);
			const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Exported;
			for (const { scopeSpans } of body.resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans);
			response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
		});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans };
}

const attribute = ({ attributes }: Span, key: string): unknown => {
	const value = attributes.find(one => one.key === key)?.value;
	return value?.stringValue ?? value?.intValue;
};

async function stage(t: TestContext, traces: 'on' | 'off', allow = 'allow := true') {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const collector = await startSpans(t);
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf(allow),
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			...(traces === 'on' ? { telemetry: { traces: { otlp: { url: collector.url } } } } : {}),
		},
	});
	const through = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	const call = (...headers: string[]) =>
		curl([...through, ...headers.flatMap(header => ['-H', header]), `http://crm.internal:${upstream.port}/one`]);
	const outgoing = (at: number, name: string): string[] => {
		const { rawHeaders = [] } = upstream.seen[at] ?? {};
		return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
	};
	return { sallyport, upstream, collector, call, outgoing };
}

test("the agent's trace goes on: its span is the parent of the call's, and that of the upstream's", async t => {
	// Policy judges what goes out.
	const allow = `allow if not endswith(input.http.headers.traceparent, "${SPAN}-01")`;
	const { sallyport, collector, call, outgoing } = await stage(t, 'on', allow);
	assert.equal((await call(`traceparent: 00-${TRACE}-${SPAN}-01`, 'tracestate: a=1')).status, 200);
	const [field = '', ...more] = outgoing(0, 'traceparent');
	assert.deepEqual(more, []);
	assert.deepEqual(outgoing(0, 'tracestate'), ['a=1']);
	const span = await until(() => collector.spans[0], 'the span arrives');
	assert.equal(field, `00-${TRACE}-${span.spanId}-01`);
	assert.notEqual(span.spanId, SPAN);
	assert.deepEqual([span.traceId, span.parentSpanId, span.name], [TRACE, SPAN, 'http GET']);
	const decided = sallyport.records().find(({ type }) => type === 'decision');
	for (const [key, value] of [
		['sallyport.decision_id', decided?.decision_id],
		['sallyport.verdict', 'allow'],
		['sallyport.cause', 'completed'],
		['sallyport.target', 'crm'],
		['sallyport.protocol', 'http'],
		['sallyport.agent', 'spiffe://example.org/agents/researcher'],
		['http.response.status_code', 200],
	] as const)
		assert.equal(attribute(span, key), value, key);
});

test("a tunnel's span goes on with the trace that CONNECT names", async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const collector = await startSpans(t);
	const sallyport = await startSallyport(t, workspace, {
		policy: policyOf('allow := true'),
		config: {
			upstreams: {
				opaque: { address: upstream.address, hosts: ['opaque.internal'], protocol: 'http', tunnel: 'allow' },
			},
			telemetry: { traces: { otlp: { url: collector.url } } },
		},
	});
	const through = throughProxy(workspace, sallyport.address('egress'), workspace.agent('researcher'));
	const parent = `Traceparent: 00-${TRACE}-${SPAN}-01`;
	const answer = await curl([
		...through,
		'-p',
		'--proxy-header',
		parent,
		`http://opaque.internal:${upstream.port}/one`,
	]);
	assert.equal(answer.status, 200);
	const span = await until(() => collector.spans[0], 'the span arrives');
	assert.deepEqual([span.traceId, span.parentSpanId], [TRACE, SPAN]);
	assert.equal(attribute(span, 'sallyport.target'), 'opaque');
	assert.doesNotMatch(JSON.stringify(upstream.seen[0]), /traceparent/i, 'what is in the tunnel stays as it is');
});

test('a parent that is none begins a trace of its own; a refused call has a span; one that is not sampled has none', async t => {
	const { collector, call, outgoing, sallyport } = await stage(t, 'on', 'allow if not input.http.headers["x-refuse"]');
	await call(`traceparent: 00-${TRACE.toUpperCase()}-${SPAN}-01`, 'tracestate: a=1');
	await call(`traceparent: 00-${TRACE}-${SPAN}-01`, `traceparent: 00-${TRACE}-${SPAN}-01`);
	await call();
	assert.equal((await call(`traceparent: 00-${TRACE}-${SPAN}-00`)).status, 200);
	assert.equal((await call('x-refuse: yes')).status, 403);
	await until(() => collector.spans.length === 4, 'a span for each that is sampled');
	for (const at of [0, 1, 2]) {
		const [field = ''] = outgoing(at, 'traceparent');
		const [, traceId, spanId] = field.split('-');
		assert.notEqual(traceId, TRACE);
		const span = collector.spans.find(one => one.spanId === spanId);
		assert.equal(span?.traceId, traceId);
		assert.ok(!span?.parentSpanId);
	}
	assert.deepEqual(outgoing(0, 'tracestate'), [], 'what was added to another trace');
	assert.match(outgoing(3, 'traceparent')[0] ?? '', new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
	const refused = collector.spans.find(span => attribute(span, 'sallyport.verdict') === 'deny');
	assert.equal(attribute(refused ?? assert.fail(), 'sallyport.cause'), 'no_rule');
	assert.equal(refused?.status.code, 2);
	assert.match(await sallyport.metrics(), /sallyport_spans_total\{result="taken"\} 4/);
});

test('without traces the fields are those of the agent, whatever they say', async t => {
	const { call, outgoing } = await stage(t, 'off');
	const fields = ['not-a-parent', `00-${TRACE}-${SPAN}-01`];
	assert.equal((await call(...fields.map(field => `traceparent: ${field}`), 'tracestate: a=1')).status, 200);
	assert.deepEqual(outgoing(0, 'traceparent'), fields);
	assert.deepEqual(outgoing(0, 'tracestate'), ['a=1']);
});
