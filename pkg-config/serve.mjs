// A small static server for the playground and the browser tests: right content types, the content policy of csp.json, and
// cross-origin isolation on demand.
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve, sep } from "node:path";
import { root } from "./paths.mjs";

const types = {
  ".css": "text/css; charset=utf-8",
  ".flac": "audio/flac",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".mp3": "audio/mpeg",
  ".onnx": "application/octet-stream",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".wav": "audio/wav",
};

/** The header's text, `directive source source; directive ...`, without the directives in `leftOut`. */
export function contentSecurityPolicy(leftOut = []) {
  const { directives } = JSON.parse(readFileSync(join(root, "pkg-config/csp.json"), "utf8"));
  return Object.entries(directives)
    .filter(([directive]) => !leftOut.includes(directive))
    .map(([directive, sources]) => [directive, ...sources].join(" "))
    .join("; ");
}

/** The file that `path` names in the first folder that has it; a folder gives its index.html. */
function fileFor(path, folders) {
  for (const folder of folders) {
    const base = resolve(root, folder);
    const file = join(base, normalize(path));
    if (file !== base && !file.startsWith(base + sep)) continue;
    for (const candidate of [file, join(file, "index.html")]) {
      const at = statSync(candidate, { throwIfNoEntry: false });
      if (at?.isFile()) return { file: candidate, size: at.size };
    }
  }
  return undefined;
}

/**
 * Serves folders on localhost until closed.
 * @param {object} options
 * @param {string[]} options.folders searched in order, relative to the repository
 * @param {number} [options.port] 0: any free one
 * @param {boolean} [options.isolated] send the headers that give a page SharedArrayBuffer; nothing of ours needs them
 * @param {boolean | string} [options.csp] send the content policy of pkg-config/csp.json, or this one
 * @param {Record<string, (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => void>} [options.routes]
 *   answers by exact path, before the folders
 * @returns {Promise<{ url: string, requests: string[], close: () => Promise<void> }>} `requests`: the path of every request so far
 */
export async function serve({ folders, port = 0, isolated = false, csp = true, routes = {} }) {
  const requests = [];
  const policy = csp === true ? contentSecurityPolicy() : csp;
  const server = createServer((request, response) => {
    let path;
    try {
      path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    } catch {
      response.writeHead(400).end("bad address");
      return;
    }
    requests.push(path);
    if (policy) response.setHeader("Content-Security-Policy", policy);
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (Object.hasOwn(routes, path)) {
      routes[path](request, response);
      return;
    }
    const found = fileFor(path, folders);
    if (!found) {
      response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" }).end(`nothing at ${path}`);
      return;
    }
    response.writeHead(200, {
      "Content-Type": types[extname(found.file)] ?? "application/octet-stream",
      "Content-Length": found.size,
      "Cache-Control": "no-cache",
    });
    if (request.method === "HEAD") response.end();
    else createReadStream(found.file).pipe(response);
  });
  await new Promise((settle, fail) => {
    server.once("error", fail);
    server.listen(port, "127.0.0.1", settle);
  });
  return {
    url: `http://localhost:${server.address().port}`,
    requests,
    close: () =>
      new Promise((settle) => {
        server.closeAllConnections();
        server.close(settle);
      }),
  };
}
