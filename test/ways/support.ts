import { chmodSync, mkdirSync } from 'node:fs';
import type { Workspace } from '../support/workspace.ts';

/** Whether programs can be run as users of the test's choice. */
export const ROOT = process.getuid?.() === 0;

/** Users that no program of the machine runs as. */
export const KNOWN = 64_101;
export const UNKNOWN = 64_102;

/** The path of a Unix socket that every user can reach: its own mode is what Sallyport gives it. */
export function openSocketPath(workspace: Workspace, name: string): string {
	chmodSync(workspace.directory, 0o711);
	mkdirSync(workspace.path('run'), { mode: 0o755, recursive: true });
	chmodSync(workspace.path('run'), 0o755);
	return workspace.path('run', name);
}

/** How the record of a decision says that its agent was known. */
export const knownBy = (record: { readonly call?: Readonly<Record<string, unknown>> } | undefined): string =>
	`${String(record?.call?.['agent'])} ${String(record?.call?.['authentication'])}`;
