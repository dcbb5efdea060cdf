import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';

export const CHART = fileURLToPath(new URL('../../helm/sallyport', import.meta.url));
/** The one whose definitions are in test/chart/kubernetes.jsonl. */
export const KUBERNETES = '1.37.2';
/** As scripts/setup-cluster.sh has them. */
const VERSIONS = {
	helm: '3.22.0',
	promtool: '0.316.0',
	prometheus: '0.316.0',
	etcd: '3.7.2',
	'kube-apiserver': KUBERNETES,
} as const;

/** Where a tool is, on PATH or in the cache; undefined when it is nowhere, and then the test is skipped. */
export function toolFor(t: TestContext, name: keyof typeof VERSIONS): string | undefined {
	const { PATH = '', XDG_CACHE_HOME, HOME = '' } = process.env;
	const cache = join(XDG_CACHE_HOME ?? join(HOME, '.cache'), 'sallyport', `${name}-${VERSIONS[name]}`);
	const found = [...PATH.split(delimiter), cache].map(folder => join(folder, name)).find(path => existsSync(path));
	if (found === undefined) t.skip(`${name} is not on this machine; \`scripts/setup.sh --cluster\` builds it with Go`);
	return found;
}

/** A Kubernetes object, as YAML or JSON has it. */
export type Manifest = Readonly<Record<string, unknown>> & {
	readonly apiVersion: string;
	readonly kind: string;
	readonly metadata: { readonly name: string; readonly namespace?: string };
};

export type Values = Readonly<Record<string, unknown>>;

/** What every placement needs. */
export const POLICY = { policy: { bundle: 'H4sIAAAAAAAAAwMAAAAAAAAAAAA=' } } as const;

/** Every way in which the chart is meant to be used, each with what it is called. */
export const PLACEMENTS: Readonly<Record<string, Values>> = {
	sidecar: { placement: 'sidecar' },
	'sidecar by webhook': {
		placement: 'sidecar',
		webhook: { enabled: true, namespaces: ['agents', 'more'] },
		secrets: [{ secret: 'crm-token', path: '/run/secrets/crm' }],
	},
	'sidecar by webhook, certificates by cert-manager': {
		placement: 'sidecar',
		identity: { source: 'cert-manager-csi' },
		webhook: { enabled: true, certificates: 'cert-manager', issuer: { name: 'cluster' } },
	},
	'sidecar without capture': { placement: 'sidecar', capture: { enabled: false }, egress: { dns: 'none' } },
	gateway: { placement: 'gateway', config: { labels: { cluster: 'dev' } } },
	'gateway with everything': {
		placement: 'gateway',
		health: { host: '::' },
		gateway: { egress: [{ to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } }] }] },
		metrics: { podMonitor: true, rules: true, dashboard: true, labels: { release: 'prometheus' } },
	},
	'sidecar by webhook, policy from a server': {
		policy: { bundle: '' },
		webhook: { enabled: true },
		config: { policy: { bundles: [{ name: 'platform', url: 'https://bundles.internal/platform.tar.gz' }] } },
	},
	laptop: { placement: 'laptop' },
};

/** What `helm template` makes of the values. Throws what helm says. */
export function render(helm: string, values: Values, chart = CHART): Manifest[] {
	const text = execFileSync(
		helm,
		['template', 'dev', chart, '--namespace', 'agents', '--kube-version', KUBERNETES, '--values', '-'],
		{ input: stringify(values), encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] },
	);
	return parseAllDocuments(text)
		.map(document => {
			const [error] = document.errors;
			if (error !== undefined) throw error;
			return document.toJS() as Manifest | null;
		})
		.filter(manifest => manifest !== null);
}

export const rendered = (helm: string, values: Values): Manifest[] => render(helm, { ...POLICY, ...values });

/** What helm says to values that it refuses. */
export function refusal(helm: string, values: Values): string {
	const { status, stderr } = spawnSync(
		helm,
		['template', 'dev', CHART, '--kube-version', KUBERNETES, '--values', '-'],
		{ input: stringify(values), encoding: 'utf8' },
	);
	return status === 0 ? '' : stderr;
}

/** The object of this kind; with a name that ends so. */
export function find(manifests: readonly Manifest[], kind: string, suffix = ''): Manifest {
	const found = manifests.find(one => one.kind === kind && one.metadata.name.endsWith(suffix));
	if (found === undefined) throw new Error(`there is no ${kind} *${suffix}`);
	return found;
}

export const dataOf = (manifest: Manifest, key: string): string => {
	const text = (manifest['data'] as Readonly<Record<string, string>> | undefined)?.[key];
	if (text === undefined) throw new Error(`${manifest.metadata.name} has no ${key}`);
	return text;
};
