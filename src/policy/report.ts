import type { ControlRecord } from '../model/record.ts';
import type { Log } from '../telemetry/log.ts';
import { type Metrics, onScrape } from '../telemetry/metrics.ts';
import { printProblem } from './problem.ts';
import type { RemoteNews, RemoteStatus } from './remote/remote.ts';
import type { PolicyEvents } from './status.ts';

interface Reporters {
	readonly log: Log;
	readonly metrics: Metrics;
	control(action: string, operator: string, detail: NonNullable<ControlRecord['detail']>): void;
	/** Whether the last reload of a part was taken. */
	reloaded(part: string, taken: boolean): void;
}

/** Tells log, metrics and records of what happens to policy. */
export const policyEvents = ({ log, metrics, control, reloaded }: Reporters): PolicyEvents => ({
	download: news => logDownload(log, news),
	activated: ({ bundles }, _status, took) => {
		reloaded('policy', true);
		metrics.policyInfo.reset();
		for (const { name, revision } of bundles) metrics.policyInfo.set({ bundle: name, revision }, 1);
		log.info({ bundles, took }, 'policy is in force');
		control('policy', 'sallyport', { bundles });
	},
	confirmed: () => reloaded('policy', true),
	failed: (problems, { revision }) => {
		reloaded('policy', false);
		log.error(
			{ problems: problems.map(printProblem) },
			revision === undefined
				? 'there is no policy: every call is refused'
				: 'the new policy was not taken; the one before stays in force',
		);
	},
});

/** What the log says of a bundle from a server. */
function logDownload(log: Log, { name, url, kind, problem }: RemoteNews): void {
	const facts = { bundle: name, url };
	switch (kind) {
		case 'started_from_disk':
			log.warn(facts, 'the policy bundle that was kept is taken until its server answers');
			break;
		case 'failed':
			log.error({ ...facts, problem }, 'the policy bundle was not taken; what was in force before still is');
			break;
		case 'not_kept':
			log.error({ ...facts, problem }, 'the policy bundle is in force, but not kept for the next start');
			break;
		case 'mended':
			log.info(facts, 'the server of the policy bundle answers as it should again');
	}
}

/** Metrics of bundles from servers, read when somebody scrapes. */
export function countDownloads(metrics: Metrics, downloads: () => readonly RemoteStatus[]): void {
	onScrape(metrics.bundleSuccess, () => {
		for (const { name, lastSuccess = 0 } of downloads())
			metrics.bundleSuccess.set({ bundle: name }, lastSuccess / 1000);
	});
	onScrape(metrics.bundleFailures, () => {
		for (const { name, failures } of downloads()) metrics.bundleFailures.set({ bundle: name }, failures);
	});
}
