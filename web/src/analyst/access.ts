/** The page's token: it comes in the address's fragment once, and is kept for this tab only. */

const KEY = "affectstream.analyst";

/** What of the browser this needs. */
export interface Place {
  readonly href: string;
  readonly replace: (href: string) => void;
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
}

/**
 * The token, or null. One in the address is taken out of it: an address that is bookmarked, sent on or seen over
 * somebody's shoulder then opens nothing.
 */
export function takeToken({ href, replace, storage }: Place): string | null {
  const url = new URL(href);
  const given = new URLSearchParams(url.hash.replace(/^#\??/, "")).get("token");
  if (given !== null && given !== "") {
    storage.setItem(KEY, given);
    url.hash = "#/sessions";
    replace(url.toString());
    return given;
  }
  return storage.getItem(KEY);
}

/** Forgets a token that opens nothing any more. */
export const forgetToken = (storage: Place["storage"]): void => storage.removeItem(KEY);
