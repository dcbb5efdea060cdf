import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { curl } from '../support/curl.ts';
import { SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

const injection = (image: string): string =>
	stringify({
		user: 17400,
		initContainers: [{ name: 'sallyport', image, restartPolicy: 'Always' }],
		volumes: [{ name: 'sallyport-agent', emptyDir: {} }],
		agentMounts: [{ name: 'sallyport-agent', mountPath: '/run/sallyport-agent', readOnly: true }],
	});

const review = (object: object, operation = 'CREATE'): string =>
	JSON.stringify({
		apiVersion: 'admission.k8s.io/v1',
		kind: 'AdmissionReview',
		request: { uid: 'u-1', kind: { group: '', version: 'v1', kind: 'Pod' }, operation, object },
	});

const POD = { spec: { containers: [{ name: 'agent', securityContext: { runAsUser: 1000 } }] } };

interface Running {
	readonly workspace: Workspace;
	said(): string;
	stop(): Promise<number | null>;
	post(body: string): ReturnType<typeof curl>;
	get(path: string): ReturnType<typeof curl>;
}

async function start(t: TestContext): Promise<Running> {
	const workspace = makeWorkspace(t);
	const file = workspace.write('injection.yaml', injection('sallyport:1'));
	const { certificate, key } = workspace.server('webhook');
	const child = spawn(
		SALLYPORT,
		['webhook', '--address', '127.0.0.1:0', '--injection', file, '--certificate', certificate, '--key', key],
		{ stdio: ['ignore', 'ignore', 'pipe'] },
	);
	t.after(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said += text;
	});
	const address = await until(() => /listening on (\S+)/.exec(said)?.[1], 'the webhook listens');
	const call = ['--cacert', workspace.ca];
	return {
		workspace,
		said: () => said,
		async stop() {
			child.kill('SIGTERM');
			const [code] = (await once(child, 'exit')) as [number | null];
			return code;
		},
		post: body =>
			curl([...call, '-H', 'content-type: application/json', '--data-binary', '@-', `https://${address}/inject`], {
				input: body,
			}),
		get: path => curl([...call, `https://${address}${path}`]),
	};
}

interface Answer {
	readonly response: {
		readonly uid: string;
		readonly allowed: boolean;
		readonly patch?: string;
		readonly status?: { readonly message: string };
	};
}

const imageIn = ({ response }: Answer): string =>
	(JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString('utf8')) as { value: { image: string }[] }[])[0]
		?.value[0]?.image ?? '';

test('a review is answered, and what is none is refused', async t => {
	const webhook = await start(t);
	const allowed = (await webhook.post(review(POD))).json() as unknown as Answer;
	assert.equal(allowed.response.uid, 'u-1');
	assert.equal(allowed.response.allowed, true);
	assert.equal(imageIn(allowed), 'sallyport:1');

	const denied = (await webhook.post(review({ spec: { ...POD.spec, hostNetwork: true } }))).json() as unknown as Answer;
	assert.equal(denied.response.allowed, false);
	assert.match(denied.response.status?.message ?? '', /^sallyport: hostNetwork/);
	for (const object of [{}, { spec: {} }, { spec: { containers: 'all' } }])
		assert.equal(((await webhook.post(review(object))).json() as unknown as Answer).response.allowed, false);
	assert.equal(((await webhook.post(review(POD, 'DELETE'))).json() as unknown as Answer).response.allowed, false);

	for (const body of ['', '{', '[]', '{"kind":"AdmissionReview"}'])
		assert.equal((await webhook.post(body)).status, 400);
	assert.equal((await webhook.post('x'.repeat(9 * 1024 * 1024))).status, 413);
	assert.equal((await webhook.get('/readyz')).status, 200);
	assert.equal((await webhook.get('/inject')).status, 404);
	assert.equal(await webhook.stop(), 0);
});

test('its files are read again when they change, and what is not good leaves what was', async t => {
	const webhook = await start(t);
	const { workspace } = webhook;
	const image = async (): Promise<string> => imageIn((await webhook.post(review(POD))).json() as unknown as Answer);

	workspace.write('injection.yaml', injection('sallyport:2'));
	await until(async () => (await image()) === 'sallyport:2', 'the new file is in force');
	workspace.write('injection.yaml', 'user: root\n');
	await until(() => webhook.said().includes('were not taken'), 'the bad file is told of');
	assert.equal(await image(), 'sallyport:2');
	workspace.write('injection.yaml', injection('sallyport:3'));

	const next = workspace.server('next');
	copyFileSync(next.key, workspace.path('certs/webhook.key'));
	copyFileSync(next.certificate, workspace.path('certs/webhook.pem'));
	await until(async () => (await image()) === 'sallyport:3', 'both are in force');
});
