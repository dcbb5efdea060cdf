import type { RemoteConfig } from '../../../config/sinks.ts';
import type { SinkMade } from '../sink.ts';
import type { Batches } from './batches.ts';
import type { Uploads } from './upload.ts';

/** A sink whose batches go by uploads. */
export const uploading = (
	key: string,
	{ types, batch, rate }: Pick<RemoteConfig, 'types' | 'batch' | 'rate'>,
	batches: Batches,
	uploads: Uploads,
): SinkMade => ({
	key,
	types,
	gather: batch,
	rate,
	sink: {
		deliver: delivery => batches.deliver(delivery),
		close: async () => uploads.close(),
		abandon: () => uploads.close(),
	},
});
