// A page built by Vite without any configuration for this package.
import { createEngine } from "otolith";
import { listen, separate } from "./listen.js";

globalThis.listen = () => listen(createEngine);
globalThis.separate = () => separate(createEngine);
