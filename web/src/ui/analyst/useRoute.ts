import { useSyncExternalStore } from "react";
import { type Route, readRoute, writeRoute } from "../../analyst/route";

const subscribe = (changed: () => void): (() => void) => {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
};

/** Where on the page one is. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return readRoute(hash);
}

/** Keeps a place in the address without a step of its own in the history. */
export const keepRoute = (route: Route): void => history.replaceState(null, "", writeRoute(route));
