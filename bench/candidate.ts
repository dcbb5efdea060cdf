import type { Certificates } from './certificates.ts';

/** What every candidate is given: the same certificates, the same upstream, a folder of its own. */
export interface Setting {
	readonly certificates: Certificates;
	/** Port of the plain HTTP upstream on 127.0.0.1. */
	readonly upstreamPort: number;
	/** A new, empty folder; removed after the round. */
	readonly folder: string;
	/** The core that it is pinned to. */
	readonly core: number;
}

/** Where the generator sends, in the form that the candidate expects. */
export interface Entrance {
	readonly port: number;
	/** Request target: a path, or an absolute URL for a forward proxy. */
	readonly target: string;
	/** Value of Host. */
	readonly host: string;
}

export interface Running {
	readonly pid: number;
	readonly entrance: Entrance;
	/** Ends it. `requests` were measured against it; the answer names what was wrong with its work, if anything. */
	stop(requests: number): Promise<string | undefined>;
}

/** One construction that is measured. */
export interface Candidate {
	readonly name: string;
	/** One line for the report. */
	readonly what: string;
	/** Gets what it needs, once; answers why it cannot be had, in one sentence, or its version. */
	prepare(): Promise<{ readonly version: string } | { readonly missing: string }>;
	start(setting: Setting): Promise<Running>;
}
