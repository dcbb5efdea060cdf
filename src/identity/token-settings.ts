import type { Config } from '../config/schema.ts';
import { settingsOf } from '../config/way.ts';
import type { TokenSettings } from './tokens.ts';

/** Of each listener that takes tokens. */
export const tokenSettingsOf = (config: Config): TokenSettings[] =>
	config.listeners.flatMap(listener => {
		const settings = settingsOf(listener, 'token');
		return settings === undefined ? [] : [{ listener: listener.name, ...settings }];
	});
