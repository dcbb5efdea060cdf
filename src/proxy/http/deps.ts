import type { Limits } from '../../config/schema.ts';
import type { Section } from '../../model/call.ts';
import type { RequestFacts } from '../../protocols/http/section.ts';
import type { Calls } from '../call.ts';
import type { UpstreamPool } from '../upstream/pool.ts';
import type { Router, Upstream } from '../upstream/route.ts';
import type { AdditionsDeps } from './additions.ts';

/** What HTTP exchanges of every listener share. */
export interface HttpDeps extends AdditionsDeps {
	readonly calls: Calls;
	readonly pool: UpstreamPool;
	readonly router: Router;
	readonly limits: Limits;
	section(facts: RequestFacts): Section;
	/** Whether the policy's verdicts on this target are only observed. */
	observes(upstream: Upstream | undefined): boolean;
	/** Counts requests whose trailers were not forwarded. */
	droppedTrailers(): void;
}
