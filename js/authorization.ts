import { messageOf, OtolithError } from "./errors.js";
import { show } from "./options.js";
import type { Tier } from "./policy.js";

/** What a job is about to do: given to the `authorize` hook, frozen. */
export interface AuthorizationRequest {
  /** The job's {@link SeparationJob.id}. */
  readonly jobId: string;
  /** Tier of the job. */
  readonly tier: Tier;
  /** What is used, by the page's own naming. */
  readonly capability: string;
  /** How much of it. */
  readonly amount: number;
  /** Stems the job will give. */
  readonly stems: number;
  /** The sound: its name ("" without one) and its bytes (null where they are not known before fetching). */
  readonly input: { readonly name: string; readonly bytes: number | null };
  /** Aborted when the job is cancelled or the answer comes too late. */
  readonly signal: AbortSignal;
}

/** What the `authorize` hook answers. Only `allowed: true`, as a property of its own, allows. */
export interface AuthorizationAnswer {
  /** Whether the job may run. */
  readonly allowed: boolean;
  /** Why not, for the user. */
  readonly error?: string;
  /** Anything to remember in {@link UsageEntry.entitlement}. */
  readonly entitlement?: unknown;
}

/**
 * Asked once a job, before it is queued and before anything is fetched, decoded or computed. It checks and consumes in one go: what was
 * consumed is not given back when the job fails or is cancelled.
 */
export type Authorize = (request: AuthorizationRequest) => AuthorizationAnswer | PromiseLike<AuthorizationAnswer>;

/** One job that was allowed: an entry of `engine.usage()`. */
export interface UsageEntry {
  /** The job. */
  readonly jobId: string;
  /** Its tier. */
  readonly tier: Tier;
  /** What it used. */
  readonly capability: string;
  /** How much of it. */
  readonly amount: number;
  /** Stems it gives. */
  readonly stems: number;
  /** When it was allowed, in milliseconds since 1970. */
  readonly at: number;
  /** What the hook gave with its answer. */
  readonly entitlement?: unknown;
}

/** Entries that are kept: a page that is open for days must not grow by them. */
const KEPT_USAGE = 1000;

/** Asks the page's hook and keeps the book of what was allowed. @internal */
export class Authorization {
  readonly #hook: Authorize | undefined;
  readonly #timeoutMs: number;
  readonly #usage: UsageEntry[] = [];

  /** Without a hook everything is allowed. */
  constructor(hook: Authorize | undefined, timeoutMs: number) {
    this.#hook = hook;
    this.#timeoutMs = timeoutMs;
  }

  /** What was allowed last, in order. */
  get usage(): readonly UsageEntry[] {
    return this.#usage.slice();
  }

  /**
   * Asks, and enters the usage once allowed.
   * @throws {OtolithError} `not-authorized`: status 429 for a refusal, 503 for a hook that throws, is silent or answers nonsense
   */
  async ask(request: Omit<AuthorizationRequest, "signal">, signal: AbortSignal): Promise<void> {
    const answer = this.#hook ? await this.#answer(this.#hook, request, signal) : {};
    const { jobId, tier, capability, amount, stems } = request;
    if (this.#usage.length === KEPT_USAGE) this.#usage.shift();
    this.#usage.push(Object.freeze({ jobId, tier, capability, amount, stems, at: Date.now(), ...answer }));
  }

  async #answer(hook: Authorize, request: Omit<AuthorizationRequest, "signal">, signal: AbortSignal): Promise<{ entitlement?: unknown }> {
    signal.throwIfAborted();
    const given = await this.#inTime(hook, request, signal);
    signal.throwIfAborted();
    // Own properties only: what lies on a shared prototype is nobody's answer.
    const answer = new Map(typeof given === "object" && given !== null ? Object.entries(given) : []);
    if (!answer.has("allowed")) throw unanswered(`it must answer { allowed }, got ${show(given)}`);
    if (answer.get("allowed") === true) return answer.has("entitlement") ? { entitlement: answer.get("entitlement") } : {};
    const error = answer.get("error");
    const { capability, amount, tier } = request;
    throw new OtolithError("not-authorized", typeof error === "string" && error !== "" ? error : `${capability} was refused`, {
      status: 429,
      details: { capability, amount, tier },
    });
  }

  async #inTime(hook: Authorize, request: Omit<AuthorizationRequest, "signal">, signal: AbortSignal): Promise<unknown> {
    const asking = new AbortController();
    let stop = () => {};
    const ended = new Promise<never>((_, reject) => {
      const cancel = () => reject(signal.reason);
      const timer = setTimeout(() => reject(unanswered(`it was silent for ${this.#timeoutMs} ms (limits.authorizeMs)`)), this.#timeoutMs);
      signal.addEventListener("abort", cancel, { once: true });
      stop = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", cancel);
      };
    });
    // The hook may throw before it gives a promise.
    const asked = (async () => hook(Object.freeze({ ...request, signal: asking.signal })))();
    const answered = asked.catch((cause: unknown) => {
      throw unanswered(`it failed: ${messageOf(cause)}`, cause);
    });
    try {
      return await Promise.race([answered, ended]);
    } catch (thrown) {
      asking.abort(thrown);
      throw thrown;
    } finally {
      stop();
    }
  }
}

function unanswered(what: string, cause?: unknown): OtolithError {
  return new OtolithError("not-authorized", `the authorize hook gave no answer: ${what}`, {
    status: 503,
    ...(cause !== undefined && { cause }),
  });
}
