/** Why the server closed a socket (RFC 6455 and the application's own range). */
export const CLOSE = {
  normal: 1000,
  /** Without a word: never sent, only told by whoever notices. */
  lost: 1006,
  restarting: 1012,
  malformed: 4400,
  badToken: 4401,
  forbidden: 4403,
  replaced: 4409,
  sessionEnded: 4410,
  tooLarge: 4413,
  tooFast: 4429,
  unavailable: 4503,
} as const;

/** Codes after which connecting again with the same token cannot succeed. */
const FINAL: ReadonlySet<number> = new Set([
  CLOSE.normal,
  CLOSE.malformed,
  CLOSE.badToken,
  CLOSE.forbidden,
  CLOSE.replaced,
  CLOSE.sessionEnded,
  CLOSE.tooLarge,
]);

/** Codes that mean that the session came to its end, rather than that something went wrong. */
const ENDED: ReadonlySet<number> = new Set([CLOSE.normal, CLOSE.sessionEnded]);

export const isFinal = (code: number): boolean => FINAL.has(code);
export const isEnd = (code: number): boolean => ENDED.has(code);

const SENTENCES: Readonly<Record<number, string>> = {
  [CLOSE.restarting]: "The server is restarting.",
  [CLOSE.malformed]: "The server could not read what this page sent.",
  [CLOSE.badToken]: "This session's token is not valid, or it has expired. Ask for a new link.",
  [CLOSE.forbidden]: "This token does not allow that.",
  [CLOSE.replaced]: "The same session was opened somewhere else.",
  [CLOSE.tooLarge]: "A message was larger than the server allows.",
  [CLOSE.tooFast]: "The server asks to send less.",
  [CLOSE.unavailable]: "The server cannot take the session right now.",
};

/** Codes whose sentence says it all to a person; at the others the server's own reason goes along. */
const SAID: ReadonlySet<number> = new Set([CLOSE.badToken, CLOSE.replaced, CLOSE.sessionEnded]);

/** A sentence for a person. */
export function closeSentence(code: number, reason: string): string {
  const sentence = SENTENCES[code] ?? "The connection was closed.";
  return reason === "" || SAID.has(code)
    ? sentence
    : `${sentence} (${reason[0]?.toUpperCase()}${reason.slice(1)}.)`;
}
