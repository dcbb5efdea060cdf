import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';

const BASE = `
identity: { trust_domain: example.org, svid: { files: { certificate: a.pem, key: a.key, trust_bundle: ca.pem } } }
policy: { files: [policies] }
listeners: [{ name: egress, address: 127.0.0.1:17401, serves: http_proxy }]
`;

const problemsOf = (audit: string, env: NodeJS.ProcessEnv = {}): string[] => {
	const loaded = parseConfig(`${BASE}audit: ${audit}\n`, '/etc/sallyport/sallyport.yaml', env);
	return 'problems' in loaded ? loaded.problems.map(({ path, message }) => `${path}: ${message}`) : [];
};

test('what a sink behind a URL names is found beside the configuration', () => {
	const audit =
		'{ sinks: [{ http: { url: "https://audit.internal/logs", roots: ca.pem, credential: { bearer: { env: T } } } }] }';
	const loaded = parseConfig(`${BASE}audit: ${audit}\n`, '/etc/sallyport/sallyport.yaml', { T: 'abc' });
	assert.ok(!('problems' in loaded));
	assert.deepEqual(loaded.config.audit.sinks, [
		{
			http: {
				url: 'https://audit.internal/logs',
				roots: '/etc/sallyport/ca.pem',
				credential: { bearer: 'abc' },
				present_svid: false,
				batch: { bytes: 32 * 1024, age: 1000 },
				rate: 16 * 1024 ** 2,
				timeout: 10_000,
			},
		},
	]);
});

for (const [audit, expected] of [
	['{ sinks: [{ http: { url: "ftp://a" } }] }', /url: expected a URL that begins with https/],
	['{ sinks: [{ http: { url: "https://u:p@a/" } }] }', /http\.url: holds a user name or a password/],
	['{ sinks: [{ http: { url: "https://a/#x" } }] }', /http\.url: has a fragment/],
	[
		'{ sinks: [{ http: { url: "http://a/", credential: { bearer: x } } }] }',
		/http\.credential: would be sent in the clear/,
	],
	['{ sinks: [{ http: { url: "http://a/", present_svid: true } }] }', /http\.present_svid: is for https/],
	['{ sinks: [{ http: { url: "https://a/", credential: {} } }] }', /http\.credential: expected exactly one of/],
	[
		'{ sinks: [{ http: { url: "https://a/", credential: { jwt_svid: { audience: a } } } }] }',
		/jwt_svid: comes from a Workload API/,
	],
	[
		'{ sinks: [{ http: { url: "https://a/", credential: { header: { name: host, value: a } } } }] }',
		/header\.name: host is written by Sallyport itself/,
	],
	['{ sinks: [{ http: { url: "https://a/", timeout: 0 } }] }', /timeout: expected more than 0/],
	['{ sinks: [{ http: { url: "https://a/", batch: { bytes: 10B } } }] }', /batch\.bytes: expected 1KiB or more/],
	['{ sinks: [{ http: { url: "https://a/", rate: 1KiB } }] }', /rate: expected 64KiB or more/],
	['{ sinks: [{ http: { name: a, url: "https://a/" } }, { stdout: { name: a } }] }', /two sinks are named a/],
	['{ sinks: [{ kafka: {} }] }', /^audit\.sinks\[0\]\.kafka: is not a key that Sallyport knows$/],
	[
		'{ sinks: [{ http: { url: "https://a/" }, stdout: {} }] }',
		/^audit\.sinks\[0\]\.(?:http|stdout): does not stand beside the other keys here$/,
	],
	['{ sinks: [{ stdout: {} }, { stdout: { types: [decision] } }] }', /sinks\[1\]\.stdout: stdout stands there twice/],
	[
		'{ sinks: [{ http: { url: "https://a/l?t=1" } }, { http: { url: "https://a/l?t=2" } }] }',
		/sinks\[1\]\.http: http:https:\/\/a\/l stands there twice/,
	],
	[
		'{ sinks: [{ nats: { servers: ["tls://a:4222"], subject: s } }, { nats: { servers: ["tls://a:4222"], subject: s } }] }',
		/sinks\[1\]\.nats: nats:tls:\/\/a:4222\/s stands there twice/,
	],
] as const) {
	test(`refused: ${audit}`, () => {
		const problems = problemsOf(audit);
		assert.equal(problems.length, 1, problems.join('\n'));
		assert.match(problems[0] ?? '', expected);
	});
}

test('a secret of a sink that cannot stand where it is used is refused without being said', () => {
	const [problem = ''] = problemsOf(
		'{ sinks: [{ http: { url: "https://a/", credential: { bearer: { env: T } } } }] }',
		{
			T: 'two words',
		},
	);
	assert.match(problem, /^audit\.sinks\[0\]\.http\.credential\.bearer: /);
	assert.ok(!problem.includes('two words'));
});

for (const [nats, expected] of [
	['{ servers: ["localhost:4222"] }', /servers\[0\]: expected nats:\/\/HOST:PORT or tls/],
	['{ servers: ["tls://u:p@localhost:4222"] }', /servers\[0\]: expected HOST:PORT and nothing else/],
	['{ servers: ["tls://a:1", "nats://b:1"] }', /servers: expected either nats:\/\/ or tls:\/\//],
	['{ servers: ["nats://a:1"], credential: { token: x } }', /credential: would be sent in the clear/],
	['{ servers: ["tls://a:1"], credential: { username: x } }', /credential: expected either `token`/],
	['{ servers: ["tls://a:1"], credential: { token: x, nkey: y } }', /credential: expected either `token`/],
	['{ servers: ["nats://a:1"], present_svid: true }', /present_svid: is for tls/],
	['{ servers: ["nats://a:1"], subject: "a.*" }', /subject: expected a subject without wildcards/],
] as const) {
	test(`refused: nats ${nats}`, () => {
		const problems = problemsOf(`{ sinks: [{ nats: ${nats} }] }`);
		assert.equal(problems.length, 1, problems.join('\n'));
		assert.match(problems[0] ?? '', expected);
	});
}

const HTTP = '{ http: { name: central, url: "https://a/" } }';

test('the sink that calls wait for is named, or the only one', () => {
	for (const [audit, sink] of [
		[`{ sinks: [${HTTP}], commit: sink }`, 'sink'],
		[`{ sinks: [{ stdout: {} }, ${HTTP}], commit: central }`, 'central'],
		[`{ sinks: [{ stdout: {} }, ${HTTP}], commit: { sink: central } }`, 'central'],
	] as const) {
		const loaded = parseConfig(`${BASE}audit: ${audit}\n`, '/etc/sallyport/sallyport.yaml', {});
		assert.ok(!('problems' in loaded));
		assert.deepEqual(loaded.config.audit.commit, { sink, timeout: 2000 });
	}
	assert.match(problemsOf(`{ sinks: [{ stdout: {} }, ${HTTP}], commit: sink }`)[0] ?? '', /no sink named sink/);
	assert.match(problemsOf('{ commit: sink }')[0] ?? '', /no sink named sink/);
	const outcomes = '{ http: { name: central, url: "https://a/", types: [outcome, control] } }';
	assert.match(
		problemsOf(`{ sinks: [${outcomes}], commit: central }`)[0] ?? '',
		/not given records of the type decision/,
	);
});

test('the collector of traces is held to the same', () => {
	const traces = (otlp: string): string => {
		const loaded = parseConfig(
			`${BASE}telemetry: { traces: { otlp: ${otlp} } }\n`,
			'/etc/sallyport/sallyport.yaml',
			{},
		);
		if (!('problems' in loaded)) return JSON.stringify(loaded.config.telemetry.traces);
		return loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n');
	};
	assert.match(
		traces('{ url: "http://a/", credential: { bearer: x } }'),
		/^telemetry\.traces\.otlp\.credential: would be sent/,
	);
	assert.match(traces('{ url: "https://a/", timeout: 0 }'), /timeout: expected more than 0/);
	assert.equal(
		traces('{ url: "https://a/", roots: ca.pem }'),
		JSON.stringify({ otlp: { url: 'https://a/', timeout: 10_000, roots: '/etc/sallyport/ca.pem' }, sample: 1 }),
	);
});
