import { useSyncExternalStore } from "react";
import type { Theme } from "./lights";

/** The page's theme: `data-theme` of the document's root, which a person may switch at any time. */
export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, read);
}

const read = (): Theme => (document.documentElement.dataset.theme === "dark" ? "dark" : "light");

function subscribe(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}
