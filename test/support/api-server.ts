import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { freePort } from '../cli/run.ts';
import type { Manifest } from './chart.ts';
import { type Curl, curl } from './curl.ts';
import { until } from './until.ts';
import type { Workspace } from './workspace.ts';

/** Where objects of a kind are. */
const PLURALS: Readonly<Record<string, string>> = {
	NetworkPolicy: 'networkpolicies',
	EndpointSlice: 'endpointslices',
};
const OF_THE_CLUSTER = ['Namespace', 'CustomResourceDefinition', 'MutatingWebhookConfiguration'];
const TOKEN = 'only-for-this-test';
const PATIENCE = 90_000;

/** A real kube-apiserver with a real etcd: nothing runs the pods, but everything is admitted, or not, as in a cluster. */
export interface ApiServer {
	/** Server-side apply (kubectl apply --server-side), with unknown fields as mistakes. */
	apply(manifest: Manifest): Promise<Curl>;
	create(manifest: Manifest): Promise<Curl>;
	/** For kubectl and helm. */
	readonly kubeconfig: string;
	/** Any other request, by its path. */
	request(method: string, path: string): Promise<Curl>;
}

/** Starts both; they end with the test. */
export async function startApiServer(
	t: TestContext,
	workspace: Workspace,
	{ etcd, apiServer }: { readonly etcd: string; readonly apiServer: string },
): Promise<ApiServer> {
	const [store, peers, port] = [await freePort(), await freePort(), await freePort()];
	const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
	const signing = workspace.write('sa.key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
	const verifying = workspace.write('sa.pub', publicKey.export({ type: 'spki', format: 'pem' }));
	const { certificate, key } = workspace.server('kube-apiserver');
	const client = `http://127.0.0.1:${store}`;
	begin(t, etcd, [
		...['--data-dir', workspace.path('etcd'), '--unsafe-no-fsync', '--log-level', 'error', '--name', 'one'],
		...['--listen-client-urls', client, '--advertise-client-urls', client],
		...[
			'--listen-peer-urls',
			`http://127.0.0.1:${peers}`,
			'--initial-advertise-peer-urls',
			`http://127.0.0.1:${peers}`,
		],
		...['--initial-cluster', `one=http://127.0.0.1:${peers}`],
	]);
	const server = begin(t, apiServer, [
		...['--etcd-servers', client, '--secure-port', String(port), '--bind-address', '127.0.0.1'],
		...['--tls-cert-file', certificate, '--tls-private-key-file', key],
		...['--cert-dir', workspace.path('api'), '--service-cluster-ip-range', '10.96.0.0/16'],
		...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-account-key-file', verifying],
		...['--service-account-signing-key-file', signing, '--authorization-mode', 'RBAC'],
		...['--token-auth-file', workspace.write('tokens.csv', `${TOKEN},test,1,"system:masters"\n`)],
		// Without kube-proxy nobody is behind a Service's address: webhooks are called at the endpoints.
		'--enable-aggregator-routing=true',
	]);
	const address = `https://127.0.0.1:${port}`;
	const call = (method: string, path: string, type?: string, body?: Manifest): Promise<Curl> =>
		curl(
			[
				...['--cacert', workspace.ca, '-X', method, '-H', `authorization: Bearer ${TOKEN}`],
				...(type === undefined ? [] : ['-H', `content-type: ${type}`, '--data-binary', '@-']),
				`${address}${path}`,
			],
			body === undefined ? {} : { input: JSON.stringify(body) },
		);
	await until(
		async () => {
			if (server.child.exitCode !== null) throw new Error(`kube-apiserver ended: ${server.said()}`);
			return (await call('GET', '/readyz')).status === 200;
		},
		'the API server is ready',
		PATIENCE,
	);
	const kubeconfig = workspace.write(
		'kubeconfig',
		stringify({
			apiVersion: 'v1',
			kind: 'Config',
			clusters: [{ name: 'c', cluster: { server: address, 'certificate-authority': workspace.ca } }],
			users: [{ name: 'u', user: { token: TOKEN } }],
			contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
			'current-context': 'x',
		}),
	);
	return {
		kubeconfig,
		apply: manifest => {
			const path = `${collection(manifest)}/${manifest.metadata.name}?fieldManager=test&force=true&fieldValidation=Strict`;
			return call('PATCH', path, 'application/apply-patch+yaml', manifest);
		},
		create: manifest => call('POST', `${collection(manifest)}?fieldValidation=Strict`, 'application/json', manifest),
		request: (method, path) => call(method, path),
	};
}

function collection({ apiVersion, kind, metadata }: Manifest): string {
	const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
	const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
	return OF_THE_CLUSTER.includes(kind) ? `${root}/${plural}` : `${root}/namespaces/${metadata.namespace}/${plural}`;
}

function begin(
	t: TestContext,
	program: string,
	args: readonly string[],
): { readonly child: ChildProcess; said(): string } {
	const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
	t.after(() => child.kill('SIGKILL'));
	let said = '';
	child.stderr?.setEncoding('utf8').on('data', (text: string) => {
		said = (said + text).slice(-8000);
	});
	return { child, said: () => said };
}
