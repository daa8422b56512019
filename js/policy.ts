import { OtolithError } from "./errors.js";
import { OptionReader } from "./options.js";

/** What a user has paid for. `none` is for pages that know no tiers. */
export type Tier = "none" | "free" | "pro" | "vip";

/** What may run a job's network: the processor, or the graphics processor too. */
export type ExecutionMode = "cpu_only" | "gpu_allowed";

/** Which job goes first: LOW 0 (free), NORMAL 1 (none, pro), HIGH 2 (vip). */
export const JobPriority = Object.freeze({ LOW: 0, NORMAL: 1, HIGH: 2 } as const);
/** One of the values of {@link JobPriority}. */
export type JobPriority = (typeof JobPriority)[keyof typeof JobPriority];

/** Where a job's network may run; made by {@link constrain} alone, frozen. @internal */
export interface ExecutionConstraints {
  readonly tier: Tier;
  readonly mode: ExecutionMode;
  readonly forceCPU: boolean;
}

/** What a page may change about tiers: option `policy` of `createEngine`. */
export interface PolicyOption {
  /** Most stems that a tier may ask for. Default: 2 for `free`, no limit for the others. */
  readonly stems?: Readonly<Partial<Record<Tier, 2 | 5>>>;
}

/** The tiers, each with the rights of those before it. */
const TIERS = ["free", "none", "pro", "vip"] as const satisfies readonly Tier[];

const RIGHTS: Readonly<Record<Tier, { mode: ExecutionMode; priority: JobPriority; defaultStems: 2 | 5 }>> = {
  free: { mode: "cpu_only", priority: JobPriority.LOW, defaultStems: 2 },
  none: { mode: "cpu_only", priority: JobPriority.NORMAL, defaultStems: 2 },
  pro: { mode: "gpu_allowed", priority: JobPriority.NORMAL, defaultStems: 5 },
  vip: { mode: "gpu_allowed", priority: JobPriority.HIGH, defaultStems: 5 },
};

/** Every constraint made here: what looks like one but was not is worth nothing. */
const issued = new WeakSet<ExecutionConstraints>();

/** The engine's tier, from the options of `createEngine`. @internal */
export function readTier(reader: OptionReader): Tier {
  return reader.oneOf("tier", TIERS) ?? "none";
}

/**
 * The constraints of a job on an engine of `tier`. The job's own `tier` may be below the engine's, never above. @internal
 * @throws {TypeError} for an unknown tier or one above
 */
export function constrain(tier: Tier, options: OptionReader): ExecutionConstraints {
  const used = options.has("tier") ? readTier(options) : tier;
  const allowed: readonly Tier[] = TIERS.slice(0, TIERS.indexOf(tier) + 1);
  if (!allowed.includes(used)) throw options.wrong("tier", `${allowed.map((one) => `"${one}"`).join(" or ")} on this engine`);
  const { mode } = RIGHTS[used];
  const constraints = Object.freeze({ tier: used, mode, forceCPU: mode === "cpu_only" });
  issued.add(constraints);
  return constraints;
}

/** Whether a job may reach a graphics processor. False for anything that {@link constrain} did not make. @internal */
export function mayUseGpu(constraints: ExecutionConstraints): boolean {
  return issued.has(constraints) && constraints.mode === "gpu_allowed" && !constraints.forceCPU;
}

/** The rights of tiers, with what the page changed about them. @internal */
export class Policy {
  readonly #mostStems: Readonly<Record<Tier, number>>;

  /** Reads the `policy` option of `createEngine`. */
  constructor(option: unknown) {
    const reader = new OptionReader(option, "options.policy", ["stems"]);
    const stems = new OptionReader(reader.any("stems"), "options.policy.stems", TIERS);
    const most = (tier: Tier, otherwise: number) => stems.oneOf(tier, [2, 5] as const) ?? otherwise;
    const any = Number.POSITIVE_INFINITY;
    this.#mostStems = { free: most("free", 2), none: most("none", any), pro: most("pro", any), vip: most("vip", any) };
  }

  /** The place of a tier's jobs in the queue. */
  priority({ tier }: ExecutionConstraints): JobPriority {
    return RIGHTS[tier].priority;
  }

  /** Stems of a job that names neither their number nor a model. */
  defaultStems({ tier }: ExecutionConstraints): 2 | 5 {
    return RIGHTS[tier].defaultStems;
  }

  /**
   * Refuses what the tier does not include, rather than giving less.
   * @throws {OtolithError} `not-authorized` with status 403
   */
  check({ tier, mode }: ExecutionConstraints, { stems, device }: { stems: number; device: string }): void {
    const most = this.#mostStems[tier];
    if (stems > most) throw refused(`tier ${tier} gives ${most} stems, ${stems} were asked for`, { tier, stems, allowed: most });
    if (device === "gpu" && mode === "cpu_only")
      throw refused(`tier ${tier} runs on the processor, device "gpu" was asked for`, { tier, device, allowed: ["auto", "cpu"] });
  }
}

function refused(what: string, details: Record<string, unknown>): OtolithError {
  return new OtolithError("not-authorized", `${what}: ask for less, or for a higher tier`, { status: 403, details });
}
