import { type ReactElement, useEffect, useMemo } from "react";
import { takeToken } from "../../analyst/access";
import { AnalystApi } from "../../analyst/api";
import { type Route, writeRoute } from "../../analyst/route";
import { Header } from "../Header";
import { WallNotice } from "../wall/WallNotice";
import { Drift } from "./Drift";
import { Experiments } from "./Experiments";
import { Explorer } from "./Explorer";
import { SessionView } from "./SessionView";
import { Trends } from "./Trends";
import { useRoute } from "./useRoute";

const TABS: readonly { readonly word: string; readonly route: Route; readonly at: readonly Route["at"][] }[] =
  [
    { word: "Sessions", route: { at: "sessions" }, at: ["sessions", "session"] },
    { word: "Trends", route: { at: "trends" }, at: ["trends"] },
    { word: "Drift", route: { at: "drift" }, at: ["drift"] },
    { word: "Experiments", route: { at: "experiments", name: null }, at: ["experiments"] },
  ];

/** The analyst page: what is known of all sessions, for those who study them. */
export function AnalystApp(): ReactElement {
  const api = useMemo(() => {
    const token = takeToken({
      href: window.location.href,
      replace: (href) => history.replaceState(null, "", href),
      storage: sessionStorage,
    });
    return token === null ? null : new AnalystApi(token);
  }, []);
  const route = useRoute();
  useEffect(() => {
    document.title = `${TABS.find(({ at }) => at.includes(route.at))?.word ?? "Analysis"} · affectstream`;
  }, [route.at]);
  return (
    <div className="page analyst-page">
      <Header line="Analysis of sessions" />
      {api === null ? (
        <main className="analyst">
          <NoToken />
        </main>
      ) : (
        <>
          <nav className="segments analyst-tabs" aria-label="Parts of the analysis">
            {TABS.map(({ word, route: to, at }) => (
              <a
                key={word}
                className="analyst-tab"
                href={writeRoute(to)}
                aria-current={at.includes(route.at) ? "page" : undefined}
              >
                {word}
              </a>
            ))}
          </nav>
          <main className="analyst">
            <Part api={api} route={route} />
          </main>
        </>
      )}
    </div>
  );
}

function Part({ api, route }: { readonly api: AnalystApi; readonly route: Route }): ReactElement {
  switch (route.at) {
    case "sessions":
      return <Explorer api={api} />;
    case "session":
      return (
        <SessionView key={route.sessionId} api={api} sessionId={route.sessionId} sequence={route.sequence} />
      );
    case "trends":
      return <Trends api={api} />;
    case "drift":
      return <Drift api={api} />;
    case "experiments":
      return <Experiments api={api} name={route.name} />;
  }
}

function NoToken(): ReactElement {
  return (
    <WallNotice
      title="This page needs its own address"
      text={
        <>
          It shows what is known of everybody’s sessions, so it opens with a token only.{" "}
          <code>make demo</code> prints such an address; in production <code>affectstream analyst</code> does.
        </>
      }
    />
  );
}
