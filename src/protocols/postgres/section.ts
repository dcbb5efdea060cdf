import type { Section } from '../../model/call.ts';

/** `input.sql` of a session's opening: only the keys that policy reads. */
export function sqlSection(database: string, user: string): Section {
	return {
		key: 'sql',
		build(reads) {
			const section = {
				...(reads.has('sql', 'dialect') ? { dialect: 'postgres' } : {}),
				...(reads.has('sql', 'database') ? { database } : {}),
				...(reads.has('sql', 'user') ? { user } : {}),
			};
			return Object.keys(section).length === 0 ? undefined : { text: JSON.stringify(section), masks: [] };
		},
	};
}
