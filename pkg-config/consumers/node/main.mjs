// Node, ES modules: no browser, no bundler.
import { createEngine } from "otolith";
import { listen } from "./listen.js";

console.log(JSON.stringify(await listen(createEngine)));
