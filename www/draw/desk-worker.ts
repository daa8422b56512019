import { Desk, type DeskMessage } from "./desk.js";

const desk = new Desk((repaint) => setTimeout(repaint));

addEventListener("message", (event: MessageEvent<DeskMessage>) => desk.take(event.data));
