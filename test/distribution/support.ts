import type { TestContext } from 'node:test';
import type { Status } from '../../src/admin/status.ts';
import { type Ran, sallyport } from '../cli/run.ts';
import { openStage, type Stage, type StageOptions, stageOf } from '../revocation/stage.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import type { Workspace } from '../support/workspace.ts';
import type { BundleServer } from './server.ts';

/** `policy` with one bundle named `team` from a server. */
export const fromServer = (
	server: BundleServer,
	more: Readonly<Record<string, unknown>> = {},
	policy: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> => ({
	policy: {
		bundles: [
			{
				name: 'team',
				url: server.url,
				roots: 'certs/ca.pem',
				poll: { min: '300ms', max: '400ms', wait: '5s' },
				...more,
			},
		],
		...policy,
	},
});

export type Policy = Status['policy'];
export type Download = NonNullable<Policy['downloads']>[number];

export interface Distribution extends Stage {
	policy(): Promise<Policy>;
	/** Waits for what `status` says of the bundle. */
	download(fits: (download: Download) => boolean, what: string): Promise<Download>;
	/** What a call by an agent comes to: a status of HTTP, or a cause. */
	outcome(agent?: string): Promise<string>;
	/** `sallyport …` beside the configuration. */
	command(...words: readonly string[]): Promise<Ran>;
	reload(): Promise<readonly string[]>;
}

const withPolicy = (stage: Stage): Distribution => {
	const policy = async (): Promise<Policy> => {
		const { policy } = (await stage.control('GET', '/v1/status')).json() as unknown as Status;
		return policy;
	};
	return {
		...stage,
		policy,
		download: (fits, what) => until(async () => (await policy()).downloads?.find(fits), what),
		outcome: async (agent = 'a') => {
			const wire = await stage.connect(stage.workspace.agent(agent));
			wire.send(stage.get('/', 'Connection: close\r\n'));
			const text = await wire.closed();
			return /"cause":"(\w+)"/.exec(text)?.[1] ?? text.slice(9, 12);
		},
		command: (...words) => sallyport(words, { cwd: stage.workspace.directory }),
		reload: async () => {
			const { problems = [] } = (await stage.control('POST', '/v1/reload')).json() as {
				problems?: { message: string }[];
			};
			return problems.map(({ message }) => message);
		},
	};
};

export const openDistribution = async (t: TestContext, options: StageOptions): Promise<Distribution> =>
	withPolicy(await openStage(t, { policy: {}, ...options }));

/** The same folder and upstream again, after the process ended. */
export async function again(
	t: TestContext,
	workspace: Workspace,
	stage: Stage,
	config: Readonly<Record<string, unknown>>,
): Promise<Distribution> {
	const sallyport = await startSallyport(t, workspace, {
		policy: {},
		config: { ...config, upstreams: { tool: { address: stage.upstream.address, protocol: 'http' } } },
	});
	return withPolicy(stageOf(t, workspace, sallyport, stage.upstream));
}
