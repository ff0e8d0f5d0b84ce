import { type ReactElement, useCallback, useEffect, useMemo, useState } from "react";
import { countByState, type Entry, type Filter, pageOf, select } from "../../wall/directory";
import type { SessionFeed } from "../../wall/feed";
import { type Observation, tokenFromAddress, WallObserver } from "../../wall/observation";
import { Header } from "../Header";
import { useStore } from "../useStore";
import { Details } from "./Details";
import { Pager } from "./Pager";
import { Tile } from "./Tile";
import { Toolbar } from "./Toolbar";
import { WallCanvas } from "./WallCanvas";
import { WallNotice } from "./WallNotice";
import { columnsFor } from "./words";

const PAGE_SIZE = 16;
const EMPTY_TILES = ["one", "two", "three", "four", "five", "six", "seven", "eight"] as const;
const EVERYTHING: Filter = { state: null, search: "" };
const NO_FEEDS: ReadonlyMap<string, SessionFeed> = new Map();

/** The wall: many sessions as small avatars, for those who run the service. */
export function WallApp(): ReactElement {
  const token = useMemo(() => tokenFromAddress(window.location.href), []);
  return (
    <div className="page wall-page">
      <Header line="The wall of sessions" />
      <main className="wall">{token === null ? <NoToken /> : <Wall token={token} />}</main>
    </div>
  );
}

function NoToken(): ReactElement {
  return (
    <WallNotice
      title="This wall needs its own address"
      text={
        <>
          It shows the avatars of everybody who is on, so it opens with a token only. <code>make demo</code>{" "}
          prints such an address; in production <code>affectstream wall</code> does.
        </>
      }
    />
  );
}

function Wall({ token }: { readonly token: string }): ReactElement {
  const [observer, setObserver] = useState<WallObserver | null>(null);
  useEffect(() => {
    const made = new WallObserver(token);
    setObserver(made);
    void made.open();
    return () => made.close();
  }, [token]);
  return observer === null ? <Loading /> : <Observed observer={observer} />;
}

function Observed({ observer }: { readonly observer: WallObserver }): ReactElement {
  const observation = useStore(observer.observation);
  switch (observation.kind) {
    case "loading":
      return <Loading />;
    case "refused":
      return <WallNotice alarming title="The wall does not open" text={observation.sentence} />;
    case "watching":
      return <Sessions observer={observer} observation={observation} />;
  }
}

function Loading(): ReactElement {
  return (
    <>
      <p className="unseen" role="status">
        Looking for sessions…
      </p>
      <ul className="tiles loading" aria-hidden="true" style={{ "--columns": 4 }}>
        {EMPTY_TILES.map((key) => (
          <li key={key} className="tile" />
        ))}
      </ul>
    </>
  );
}

interface SessionsProps {
  readonly observer: WallObserver;
  readonly observation: Extract<Observation, { kind: "watching" }>;
}

function Sessions({ observer, observation }: SessionsProps): ReactElement {
  const { entries, nowMs } = observation;
  const [filter, setFilter] = useState(EVERYTHING);
  const [wantedPage, setWantedPage] = useState(0);
  const [chosenId, setChosenId] = useState<string | null>(null);
  const found = select(entries, filter);
  const { shown, page, pages } = pageOf(found, wantedPage, PAGE_SIZE);
  const chosen = entries.find(({ sessionId }) => sessionId === chosenId) ?? null;
  const feeds = useFeeds(observer, chosen === null ? shown : [...shown, chosen]);
  const close = useCallback(() => {
    setChosenId(null);
    document.querySelector<HTMLElement>(".tile-button[aria-pressed=true]")?.focus();
  }, []);
  return (
    <>
      <div className="wall-bar">
        <Toolbar
          filter={filter}
          counts={countByState(entries)}
          onChange={(next) => {
            setFilter(next);
            setWantedPage(0);
          }}
        />
        <p className="wall-count" role="status">
          {found.length === 1 ? "1 session" : `${found.length} sessions`}
        </p>
        <Pager page={page} pages={pages} onPage={setWantedPage} />
      </div>
      <Trouble observation={observation} />
      <div className={chosen === null ? "wall-body" : "wall-body with-details"}>
        {shown.length === 0 ? (
          <Nobody any={entries.length > 0} onAll={() => setFilter(EVERYTHING)} />
        ) : (
          <Tiles shown={shown} feeds={feeds} nowMs={nowMs} chosenId={chosenId} onChoose={setChosenId} />
        )}
        {chosen !== null && (
          <Details entry={chosen} feed={feeds.get(chosen.sessionId) ?? null} nowMs={nowMs} onClose={close} />
        )}
      </div>
    </>
  );
}

/** Has frames come for what is shown, and for nothing else. */
function useFeeds(observer: WallObserver, shown: readonly Entry[]): ReadonlyMap<string, SessionFeed> {
  const [feeds, setFeeds] = useState(NO_FEEDS);
  const wanted = [
    ...new Set(shown.filter(({ state }) => state !== "ended").map(({ sessionId }) => sessionId)),
  ];
  const key = wanted.sort().join(" ");
  useEffect(() => {
    const picked = observer.socket?.pick(key === "" ? [] : key.split(" "));
    setFeeds(picked === undefined ? NO_FEEDS : new Map(picked));
  }, [observer, key]);
  return feeds;
}

/** A line about what is missing; nothing where all is well. */
function Trouble({ observation: { link, listTrouble } }: Pick<SessionsProps, "observation">): ReactElement {
  const sentences = [
    link.state === "reconnecting" ? `Frames: ${link.detail} Trying again…` : null,
    listTrouble === null ? null : `The list is not up to date: ${listTrouble} Trying again…`,
  ].filter((sentence) => sentence !== null);
  return (
    <div role="status" className="wall-troubles">
      {sentences.map((sentence) => (
        <p key={sentence} className="wall-trouble">
          <span className="dot busy" aria-hidden="true" />
          {sentence}
        </p>
      ))}
    </div>
  );
}

function Nobody({ any, onAll }: { readonly any: boolean; readonly onAll: () => void }): ReactElement {
  if (!any) {
    return (
      <WallNotice
        title="Nobody is on"
        text="Sessions appear here by themselves, a second or two after they start."
      />
    );
  }
  return (
    <WallNotice title="No session matches" text="There are others: change the state or the words.">
      <button type="button" className="button quiet" onClick={onAll}>
        Show all
      </button>
    </WallNotice>
  );
}

interface TilesProps {
  readonly shown: readonly Entry[];
  readonly feeds: ReadonlyMap<string, SessionFeed>;
  readonly nowMs: number;
  readonly chosenId: string | null;
  readonly onChoose: (sessionId: string) => void;
}

function Tiles({ shown, feeds, nowMs, chosenId, onChoose }: TilesProps): ReactElement {
  const [places, setPlaces] = useState<ReadonlyMap<string, HTMLElement>>(new Map());
  const onPlace = useCallback((sessionId: string, element: HTMLElement | null) => {
    setPlaces((before) => {
      const after = new Map(before);
      if (element === null) after.delete(sessionId);
      else after.set(sessionId, element);
      return after;
    });
  }, []);
  const cells = useMemo(
    () => [...places].map(([key, element]) => ({ key, element, source: feeds.get(key) ?? null })),
    [places, feeds],
  );
  return (
    <div className="wall-stage">
      <WallCanvas cells={cells} />
      <ul className="tiles" style={{ "--columns": columnsFor(shown.length) }}>
        {shown.map((entry) => (
          <Tile
            key={entry.sessionId}
            entry={entry}
            feed={feeds.get(entry.sessionId) ?? null}
            nowMs={nowMs}
            chosen={entry.sessionId === chosenId}
            onChoose={onChoose}
            onPlace={onPlace}
          />
        ))}
      </ul>
    </div>
  );
}
