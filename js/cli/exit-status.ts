import { OtolithError } from "../node.js";
import { UsageError } from "./command.js";

/** Exit statuses, stable: scripts rely on them. */
export const ExitStatus = { done: 0, failed: 1, usage: 2, badInput: 3, limit: 4, model: 5 } as const;

const byCode: Readonly<Record<string, number>> = {
  "invalid-input": ExitStatus.badInput,
  "unsupported-format": ExitStatus.badInput,
  "too-short": ExitStatus.badInput,
  limit: ExitStatus.limit,
  "out-of-memory": ExitStatus.limit,
  "model-load": ExitStatus.model,
  "model-integrity": ExitStatus.model,
};

/** The exit status that stands for what was thrown. */
export function exitStatusOf(thrown: unknown): number {
  if (thrown instanceof OtolithError) return byCode[thrown.code] ?? ExitStatus.failed;
  // The engine's TypeErrors name a wrong option, and every option here is one of the call's.
  if (thrown instanceof UsageError || thrown instanceof TypeError) return ExitStatus.usage;
  return ExitStatus.failed;
}

/** Code and message of what was thrown, as JSON output carries them. */
export function describeError(thrown: unknown): { readonly code: string; readonly message: string } {
  const code = thrown instanceof OtolithError ? thrown.code : exitStatusOf(thrown) === ExitStatus.usage ? "usage" : "failed";
  return { code, message: thrown instanceof Error ? thrown.message : String(thrown) };
}
