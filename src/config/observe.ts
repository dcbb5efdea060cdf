import type { Config } from './schema.ts';

/** Whether verdicts on calls to an upstream, or to what nobody declared, are only observed. */
export const observes = ({ policy, upstreams }: Config, upstream: string | undefined): boolean =>
	((upstream === undefined ? undefined : upstreams[upstream]?.mode) ?? policy.mode) === 'observe';

/** Whether there is any target whose verdicts are only observed. */
export const observesAnything = ({ policy, upstreams }: Config): boolean =>
	policy.mode === 'observe' || Object.values(upstreams).some(({ mode }) => mode === 'observe');
