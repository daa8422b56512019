import engineWorkerUrl from "otolith/worker?worker&url";
import deskWorkerUrl from "./draw/desk-worker.ts?worker&url";

const admitted = new Set([engineWorkerUrl, deskWorkerUrl].map((url) => new URL(url, document.baseURI).href));

/** The page's only Trusted Types policy: it admits the page's own worker scripts and nothing else. */
const policy = globalThis.trustedTypes?.createPolicy("otolith-page", {
  createScriptURL(url) {
    const { href } = new URL(url, document.baseURI);
    if (!admitted.has(href)) throw new TypeError(`not a script of this page: ${href}`);
    return href;
  },
});

/** The scripts that the page may start. */
export const pageScripts = {
  /** The package's worker, trusted where the browser knows Trusted Types. */
  engineWorker: policy ? policy.createScriptURL(engineWorkerUrl) : new URL(engineWorkerUrl, document.baseURI),
  /** Starts the worker that paints. */
  startDeskWorker(): Worker {
    const url = policy ? policy.createScriptURL(deskWorkerUrl) : deskWorkerUrl;
    return new Worker(url as string, { type: "module", name: "otolith-desk" });
  },
};
