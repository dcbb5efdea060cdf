/** As answers have it: RFC 3339, UTC. */
export const time = (milliseconds: number): string => new Date(milliseconds).toISOString();
