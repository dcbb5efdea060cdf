import type { RemoteStatus } from '../policy/remote/remote.ts';

/** A policy bundle that comes from a server, as `status` shows it. */
export interface ShownDownload {
	readonly name: string;
	readonly url: string;
	readonly revision?: string;
	readonly etag?: string;
	/** Bytes. */
	readonly size?: number;
	/** Kept from before the start; the server has not confirmed it. */
	readonly from_disk?: true;
	readonly last_request?: string;
	/** With something new or not. */
	readonly last_success?: string;
	readonly last_download?: string;
	readonly last_activation?: string;
	readonly problem?: string;
	readonly failures: number;
}

const at = <K extends string>(key: K, time: number | undefined): Partial<Record<K, string>> =>
	time === undefined ? {} : ({ [key]: new Date(time).toISOString() } as Record<K, string>);

export const downloadOf = (remote: RemoteStatus): ShownDownload => ({
	name: remote.name,
	url: remote.url,
	...(remote.revision === undefined ? {} : { revision: remote.revision }),
	...(remote.etag === undefined ? {} : { etag: remote.etag }),
	...(remote.size === undefined ? {} : { size: remote.size }),
	...(remote.fromDisk === undefined ? {} : { from_disk: remote.fromDisk }),
	...at('last_request', remote.lastRequest),
	...at('last_success', remote.lastSuccess),
	...at('last_download', remote.lastDownload),
	...at('last_activation', remote.lastActivation),
	...(remote.problem === undefined ? {} : { problem: remote.problem }),
	failures: remote.failures,
});
