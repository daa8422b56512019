import { make } from "./make.js";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const STORED_AS = "otolith-theme";

/** Colours as the system has them, light or dark; the choice is remembered. Fires `themechange` on the document. */
export class ThemeSwitch extends HTMLElement {
  /** Fills the element and applies the remembered choice. */
  connect(): void {
    const select = make("select", { attributes: { "aria-label": "Colours" } });
    for (const theme of THEMES) select.append(make("option", { value: theme }, theme.charAt(0).toUpperCase() + theme.slice(1)));
    select.value = stored();
    apply(select.value as Theme);
    select.addEventListener("change", () => {
      apply(select.value as Theme);
      remember(select.value as Theme);
    });
    this.append(select);
  }
}
customElements.define("theme-switch", ThemeSwitch);

function apply(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new Event("themechange"));
}

// Storage may be switched off altogether; then the choice lasts as long as the page.
function stored(): Theme {
  try {
    const value = localStorage.getItem(STORED_AS);
    return THEMES.find((theme) => theme === value) ?? "system";
  } catch {
    return "system";
  }
}

function remember(theme: Theme): void {
  try {
    localStorage.setItem(STORED_AS, theme);
  } catch {}
}
