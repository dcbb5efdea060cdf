import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import type { TestContext } from 'node:test';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { type Manifest, toolFor } from '../support/chart.ts';
import { SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';

export interface Cluster {
	readonly helm: string;
	readonly workspace: Workspace;
	readonly api: ApiServer;
}

/** A real API server, and helm; undefined where they cannot be had, and then the test is skipped. */
export async function openCluster(t: TestContext): Promise<Cluster | undefined> {
	const helm = toolFor(t, 'helm');
	const etcd = helm && toolFor(t, 'etcd');
	const apiServer = etcd && toolFor(t, 'kube-apiserver');
	if (helm === undefined || etcd === undefined || apiServer === undefined) return undefined;
	if (ownAddress() === undefined) {
		t.skip('this machine has no address but loopback, and no endpoint can be there');
		return undefined;
	}
	const workspace = makeWorkspace(t);
	return { helm, workspace, api: await startApiServer(t, workspace, { etcd, apiServer }) };
}

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): Manifest =>
	({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }) as Manifest;

/** An address of this machine's that an endpoint may have: not loopback. */
const ownAddress = (): string | undefined =>
	Object.values(networkInterfaces())
		.flat()
		.find(one => one !== undefined && !one.internal && one.family === 'IPv4')?.address;

export async function applied(api: ApiServer, manifests: readonly Manifest[]): Promise<void> {
	for (const manifest of manifests) {
		const { status, body } = await api.apply(manifest);
		assert.ok(status === 200 || status === 201, `${manifest.kind} ${manifest.metadata.name}: ${body}`);
	}
}

export interface ServedWebhook {
	/** What it said on stderr so far. */
	said(): string;
	/** `HOST:PORT`. */
	readonly address: string;
}

export interface WebhookPlace {
	/** Paths. */
	readonly injection: string;
	readonly certificate: string;
	readonly key: string;
	readonly service: { readonly name: string; readonly namespace?: string };
}

/** Runs the webhook where the Service's endpoint is. */
export async function serveWebhook(
	t: TestContext,
	api: ApiServer,
	{ injection, certificate, key, service: { name, namespace: own = 'agents' } }: WebhookPlace,
): Promise<ServedWebhook> {
	const address = ownAddress() ?? '';
	const child = spawn(
		SALLYPORT,
		[
			...['webhook', '--address', `${address}:0`, '--injection', injection],
			...['--certificate', certificate, '--key', key],
		],
		{ stdio: ['ignore', 'ignore', 'pipe'] },
	);
	t.after(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said += text;
	});
	const port = Number(await until(() => /listening on \S+:(\d+)/.exec(said)?.[1], 'the webhook listens'));
	await applied(api, [
		{
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { name, namespace: own, labels: { 'kubernetes.io/service-name': name } },
			addressType: 'IPv4',
			endpoints: [{ addresses: [address], conditions: { ready: true } }],
			ports: [{ name: 'webhook', port, protocol: 'TCP' }],
		} as Manifest,
	]);
	return { said: () => said, address: `${address}:${port}` };
}
