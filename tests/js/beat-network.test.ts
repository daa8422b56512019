import { describe, expect, it } from "vitest";
import { type BeatMethod, type BeatWorkshop, findNetwork } from "../../js/beat-network.js";
import { OtolithError } from "../../js/errors.js";

const network = { key: "abc", entry: "{}", files: {} };
const job = { signal: new AbortController().signal, started: () => {}, report: () => {} };

/** A workshop whose models and neural.wasm behave as given. */
function workshop(fetchGraphs: () => unknown, module: () => unknown = () => ({})): BeatWorkshop {
  const core = { use: async (_: unknown, task: (link: unknown) => unknown): Promise<unknown> => task({}) };
  const fake = { core, models: { fetchGraphs: async () => fetchGraphs() }, wasm: { module: async () => module() } };
  return fake as unknown as BeatWorkshop;
}

const nothing = (): unknown => undefined;
const fail = (code: "model-load" | "model-integrity" | "unsupported-environment" | "out-of-memory") => () => {
  throw new OtolithError(code, "as the test wants it");
};
const find = (shop: BeatWorkshop, method: BeatMethod) => findNetwork(shop, "beat-activations", method, job);

describe("the network for beats", () => {
  it("is used where it can be had", async () => {
    for (const method of ["auto", "tcn"] as const)
      expect(
        await find(
          workshop(() => network),
          method,
        ),
      ).toEqual({ network });
  });

  it("is not asked for by flux", async () => {
    expect(await find(workshop(fail("out-of-memory")), "flux")).toEqual({ notice: "model-missing" });
  });

  it.each([
    ["model-missing", nothing, undefined],
    ["model-refused", fail("model-load"), undefined],
    ["model-integrity", fail("model-integrity"), undefined],
    ["model-refused", () => network, fail("unsupported-environment")],
  ] as const)("gives auto the notice %s", async (notice, models, module) => {
    expect(await find(workshop(models, module), "auto")).toEqual({ notice });
  });

  it.each([
    ["model-load", nothing, undefined],
    ["model-load", fail("model-load"), undefined],
    ["model-integrity", fail("model-integrity"), undefined],
    ["unsupported-environment", () => network, fail("unsupported-environment")],
  ] as const)("is an error of code %s to tcn", async (code, models, module) => {
    await expect(find(workshop(models, module), "tcn")).rejects.toMatchObject({ code });
  });

  it("hides no other fault", async () => {
    await expect(find(workshop(fail("out-of-memory")), "auto")).rejects.toMatchObject({ code: "out-of-memory" });
  });
});
