/** Where on the analyst page one is: it stands in the address's fragment, so that it can be kept, sent and gone back to. Pure. */

export type Route =
  | { readonly at: "sessions" | "trends" | "drift" }
  | { readonly at: "session"; readonly sessionId: string; readonly sequence: number | null }
  | { readonly at: "experiments"; readonly name: string | null };

export const START: Route = { at: "sessions" };

/** Reads a fragment; what is not understood is the start. */
export function readRoute(hash: string): Route {
  const [at = "", given = "", place = ""] = hash.replace(/^#\/?/, "").split("/");
  const name = decoded(given);
  switch (at) {
    case "trends":
    case "drift":
      return { at };
    case "experiments":
      return { at, name: name === "" ? null : name };
    case "session":
      return name === ""
        ? START
        : { at, sessionId: name, sequence: /^\d+$/.test(place) ? Number(place) : null };
    default:
      return START;
  }
}

/** The fragment of a place, with its `#`. */
export function writeRoute(route: Route): string {
  switch (route.at) {
    case "session": {
      const tick = route.sequence === null ? "" : `/${route.sequence}`;
      return `#/session/${encodeURIComponent(route.sessionId)}${tick}`;
    }
    case "experiments":
      return route.name === null ? "#/experiments" : `#/experiments/${encodeURIComponent(route.name)}`;
    default:
      return `#/${route.at}`;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
