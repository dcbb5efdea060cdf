import type { PolicyConfig } from '../config/schema.ts';
import type { ControlRecord } from '../model/record.ts';
import type { Log } from '../telemetry/log.ts';
import { type Metrics, onScrape } from '../telemetry/metrics.ts';
import type { RemoteNews, RemoteStatus } from './remote/remote.ts';
import { type ReportsDeps, StatusReports } from './remote/status-reports.ts';
import { type OpenPolicy, openPolicy, type PolicyDeps } from './source.ts';
import type { PolicyEvents, PolicyStatus } from './status.ts';

interface Reporters {
	readonly log: Log;
	readonly metrics: Metrics;
	control(action: string, operator: string, detail: NonNullable<ControlRecord['detail']>): void;
	/** Whether the last reload of a part was taken. */
	reloaded(part: string, taken: boolean): void;
	/** What is said of the bundles elsewhere is not so any more. */
	changed(): void;
}

/** Tells log, metrics and records of what happens to policy. */
const policyEvents = ({ log, metrics, control, reloaded, changed }: Reporters): PolicyEvents => ({
	download: news => {
		logDownload(log, news);
		changed();
	},
	activated: ({ bundles }, _status, took) => {
		reloaded('policy', true);
		metrics.policyInfo.reset();
		for (const { name, revision } of bundles) metrics.policyInfo.set({ bundle: name, revision }, 1);
		log.info({ bundles, took }, 'policy is in force');
		control('policy', 'sallyport', { bundles });
		changed();
	},
	confirmed: () => reloaded('policy', true),
	failed: (problems, { revision }) => {
		changed();
		reloaded('policy', false);
		log.error(
			{ problems },
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
function countDownloads(metrics: Metrics, downloads: () => readonly RemoteStatus[]): void {
	onScrape(metrics.bundleSuccess, () => {
		for (const { name, lastSuccess = 0 } of downloads())
			metrics.bundleSuccess.set({ bundle: name }, lastSuccess / 1000);
	});
	onScrape(metrics.bundleFailures, () => {
		for (const { name, failures } of downloads()) metrics.bundleFailures.set({ bundle: name }, failures);
	});
}

/** Reports to a server, if the configuration names one; they begin at once. */
async function openReports(
	config: PolicyConfig['status'],
	{ log, metrics, ...deps }: Omit<ReportsDeps, 'problem'> & Pick<Reporters, 'log' | 'metrics'>,
): Promise<StatusReports | undefined> {
	if (config === undefined) return undefined;
	const { url } = config;
	const reports = new StatusReports(config, {
		...deps,
		problem: problem =>
			problem === undefined
				? log.info({ url }, 'the status of policy bundles is reported')
				: log.error({ url, problem }, 'the status of policy bundles could not be reported'),
	});
	onScrape(metrics.statusReported, () => metrics.statusReported.set((reports.status().lastSuccess ?? 0) / 1000));
	await reports.start();
	return reports;
}

/** Opens policy, tells everybody of what happens to it, and reports its status where the configuration says. */
export async function openReportedPolicy(
	config: PolicyConfig,
	deps: Omit<Reporters, 'changed'> &
		Pick<PolicyDeps, 'clock' | 'environment'> &
		Pick<ReportsDeps, 'access' | 'labels' | 'instance'>,
): Promise<{ readonly policy: OpenPolicy; readonly reports: StatusReports | undefined }> {
	const { clock, environment, access, log, metrics, labels, instance } = deps;
	let reports: StatusReports | undefined;
	const events = policyEvents({ ...deps, changed: () => reports?.changed() });
	const policy = await openPolicy(config, { clock, environment, access, events });
	const status = (): PolicyStatus => policy.status();
	countDownloads(metrics, () => status().downloads);
	reports = await openReports(config.status, { log, metrics, clock, access, labels, instance, status });
	return { policy, reports };
}
