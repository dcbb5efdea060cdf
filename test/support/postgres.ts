import type { TestContext } from 'node:test';
import { type Postgres, type PostgresOptions, startPostgres } from '../../src/cli/demo/postgres.ts';

export type { Postgres } from '../../src/cli/demo/postgres.ts';

/** A real Postgres for as long as the test runs. */
export async function usePostgres(t: Pick<TestContext, 'after'>, options: PostgresOptions = {}): Promise<Postgres> {
	const postgres = await startPostgres(options);
	t.after(() => postgres.stop());
	return postgres;
}
