import { KEYS } from "../state/keys.js";
import { icon, make } from "./make.js";

/** The list of keys, and the switch for single letters. */
export class KeysDialog extends HTMLElement {
  readonly #letters = make("input", { type: "checkbox", checked: true });
  readonly #dialog = make("dialog", { attributes: { "aria-label": "Keys" } });

  /** Fills the element. */
  connect(): void {
    const open = make("button", { type: "button" }, "Keys");
    open.addEventListener("click", () => this.show());
    const close = make("button", { type: "button", attributes: { "aria-label": "Close" } }, icon("close"));
    close.addEventListener("click", () => this.#dialog.close());
    const list = make("dl", { className: "facts" });
    for (const [key, does] of KEYS) list.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, does));
    this.#dialog.append(
      make("div", { className: "row spread" }, make("h2", {}, "Keys"), close),
      list,
      make("label", { className: "row" }, this.#letters, "Letters and digits are keys"),
    );
    this.append(open, this.#dialog);
  }

  /** Whether letters and digits are keys. */
  get lettersOn(): boolean {
    return this.#letters.checked;
  }

  /** Opens the list. */
  show(): void {
    this.#dialog.showModal();
  }
}
customElements.define("keys-dialog", KeysDialog);
