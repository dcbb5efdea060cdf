import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { stringify } from 'yaml';
import { CHART, type Manifest, POLICY } from '../support/chart.ts';
import { mountVolume } from '../support/mounted.ts';
import { until } from '../support/until.ts';
import { AGENT_POD } from './agent-pod.ts';
import { applied, namespace, openCluster, serveWebhook } from './cluster.ts';

const NAME = 'one-sallyport-webhook';
const YEAR = 365 * 86_400_000;

/** A Secret or ConfigMap, as the API server has it. */
interface Stored {
	readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
	readonly data: Readonly<Record<string, string>>;
}

interface Pair {
	readonly ca: string;
	readonly certificate: string;
	readonly key: string;
	readonly caBundle: string;
	readonly told: Readonly<Record<string, string>>;
}

const certificatesIn = (pem: string): readonly X509Certificate[] =>
	(pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(one => new X509Certificate(one));

test("the chart's own certificate: made by install, kept by upgrade, renewed without a pod that is not made, and rolled back whole", async t => {
	const cluster = await openCluster(t);
	if (cluster === undefined) return;
	const { helm, workspace, api } = cluster;
	await applied(api, [namespace('installed')]);
	for (const name of ['default', 'researcher'])
		await applied(api, [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'installed' } }]);
	const helmRuns = (...words: string[]): void => {
		execFileSync(helm, [...words, '--namespace', 'installed', '--kubeconfig', api.kubeconfig], {
			input: stringify({ ...POLICY, webhook: { enabled: true } }),
			stdio: ['pipe', 'ignore', 'pipe'],
			env: { HOME: workspace.directory },
		});
	};
	const get = async <T>(path: string): Promise<T> => JSON.parse((await api.request('GET', path)).body) as T;
	const stored = (kind: string): Promise<Stored> => get(`/api/v1/namespaces/installed/${kind}/${NAME}`);
	const pair = async (): Promise<Pair> => {
		const { data, metadata } = await stored('secrets');
		const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString('utf8');
		const { webhooks } = await get<{ webhooks: { clientConfig: { caBundle: string } }[] }>(
			`/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${NAME}-installed`,
		);
		const caBundle = Buffer.from(webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString('utf8');
		const told = metadata.annotations ?? {};
		return { ca: text('ca.crt'), certificate: text('tls.crt'), key: text('tls.key'), caBundle, told };
	};
	const due = (): Promise<void> =>
		applied(api, [
			{
				apiVersion: 'v1',
				kind: 'Secret',
				metadata: { name: NAME, namespace: 'installed', annotations: { 'sallyport.dev/renew-after': '0' } },
			} as Manifest,
		]);

	helmRuns('install', 'one', CHART, '--values', '-');
	const first = await pair();
	const [issuer, ...none] = certificatesIn(first.ca);
	const [leaf] = certificatesIn(first.certificate);
	assert.ok(issuer !== undefined && leaf !== undefined);
	assert.ok(leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey));
	assert.deepEqual(none, []);
	assert.equal(leaf.checkHost(`${NAME}.installed.svc`), `${NAME}.installed.svc`);
	assert.equal(first.caBundle, first.ca);
	const lifetime = Date.parse(leaf.validTo) - Date.parse(leaf.validFrom);
	assert.ok(Math.abs(lifetime - 3 * YEAR) < 2 * 86_400_000);
	assert.equal(first.told['sallyport.dev/valid-until'], new Date(leaf.validTo).toISOString().slice(0, 10));
	const renewAfter = Number(first.told['sallyport.dev/renew-after']) * 1000;
	assert.ok(Math.abs(renewAfter - Date.parse(leaf.validFrom) - 2 * YEAR) < 2 * 86_400_000);

	const folder = workspace.path('tls');
	const mount = ({ certificate, key }: Pair, version: number): void =>
		mountVolume(folder, { 'tls.crt': certificate, 'tls.key': key }, version);
	mount(first, 1);
	const webhook = await serveWebhook(t, api, {
		injection: workspace.write('injection.yaml', (await stored('configmaps')).data['injection.yaml'] ?? ''),
		certificate: `${folder}/tls.crt`,
		key: `${folder}/tls.key`,
		service: { name: NAME, namespace: 'installed' },
	});
	let pods = 0;
	const made = async (): Promise<number> => {
		const metadata = { ...AGENT_POD.metadata, name: `researcher-${pods++}`, namespace: 'installed' };
		return (await api.create({ ...AGENT_POD, metadata })).status;
	};
	await until(async () => (await made()) === 201, 'the webhook is called');
	/** Serial of what the webhook shows, when it is judged by this CA alone. */
	const shown = (ca: string): Promise<string> =>
		new Promise((resolve, reject) => {
			const [host = '', port] = webhook.address.split(':');
			const socket = connect({ host, port: Number(port), ca, servername: `${NAME}.installed.svc` }, () => {
				resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
				socket.destroy();
			}).on('error', reject);
		});

	helmRuns('upgrade', 'one', CHART, '--values', '-');
	assert.deepEqual(await pair(), first, 'an upgrade keeps it');

	let before = first;
	for (const version of [2, 3]) {
		await due();
		helmRuns('upgrade', 'one', CHART, '--values', '-');
		const renewed = await pair();
		const [own, old, ...more] = certificatesIn(renewed.caBundle);
		assert.ok(own !== undefined && old !== undefined);
		assert.notEqual(renewed.certificate, before.certificate);
		assert.equal(
			old.fingerprint256,
			certificatesIn(before.caBundle)[0]?.fingerprint256,
			'the CA of before is good too',
		);
		assert.deepEqual(more, [], 'and no older one');
		assert.ok(Number(renewed.told['sallyport.dev/renew-after']) > Date.now() / 1000);
		// The kubelet has not brought it yet.
		assert.equal(await shown(old.toString()), certificatesIn(before.certificate)[0]?.serialNumber);
		assert.equal(await made(), 201, 'pods are made meanwhile');
		mount(renewed, version);
		const serial = certificatesIn(renewed.certificate)[0]?.serialNumber;
		await until(async () => (await shown(renewed.caBundle)) === serial, 'it is shown, without a restart');
		assert.equal(await shown(own.toString()), serial);
		assert.equal(await made(), 201);
		assert.match(webhook.said(), /read again; the certificate is good until 20\d\d-/);
		before = renewed;
	}

	helmRuns('rollback', 'one', '1');
	const back = await pair();
	assert.deepEqual({ ...back, told: {} }, { ...first, told: {} }, 'Secret and caBundle are a pair');
	mount(back, 4);
	const serial = certificatesIn(first.certificate)[0]?.serialNumber;
	await until(async () => (await shown(first.ca).catch(() => '')) === serial, 'the old one is shown');
	await until(async () => (await made()) === 201, 'pods are made again');
});
