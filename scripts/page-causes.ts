import { type Cause, familyOf, meaningOf, OUTCOMES, REFUSALS, remedyOf } from '../src/model/cause.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

const rowsOf = (causes: Readonly<Record<string, unknown>>): string[][] =>
	(Object.keys(causes) as Cause[]).map(cause => [code(cause), familyOf(cause), meaningOf(cause), remedyOf(cause)]);

/** docs/causes.md */
export const causesPage = (): string => `${generatedFrom('src/model/cause.ts')}
# Causes

Why a call was refused, or how it ended. The list is closed: metrics (\`cause\`), records (\`cause\`), refusals and
\`sallyport audit query --cause\` use these words and no others. The family says what kind of error a protocol answers with.

## Refusals

The call did not happen.

${markdownTable(['cause', 'family', 'what it means', 'what to do'], rowsOf(REFUSALS))}
## Outcomes

The call was permitted, and this is how it ended. A refusal may be an outcome too: a permitted call can still fail to
find its target, or be ended by a revocation.

${markdownTable(['cause', 'family', 'what it means', 'what to do'], rowsOf(OUTCOMES))}`;
