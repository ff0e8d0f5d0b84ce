import { type ReactElement, useState } from "react";
import { chooseTheme, initialTheme } from "./theme";

export function Header({ line }: { readonly line: string }): ReactElement {
  const [theme, setTheme] = useState(initialTheme);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <header className="header">
      <div className="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="9" />
          <path d="M7 18c2.200 0 2.200-6 4.500-6s2.300 9 4.500 9 2.300-11 4.500-11 2.300 8 4.500 8" />
        </svg>
        <div>
          <h1>affectstream</h1>
          <p>{line}</p>
        </div>
      </div>
      <button
        type="button"
        className="button quiet icon"
        aria-label={`Switch to ${other} colours`}
        title={`Switch to ${other} colours`}
        onClick={() => {
          chooseTheme(other);
          setTheme(other);
        }}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          {theme === "dark" ? (
            <path d="M12 7.500a4.500 4.500 0 100 9 4.500 4.500 0 000-9zM12 2v2.500M12 19.500V22M4.900 4.900l1.800 1.800M17.300 17.300l1.800 1.800M2 12h2.500M19.500 12H22M4.900 19.100l1.800-1.800M17.300 6.700l1.800-1.800" />
          ) : (
            <path d="M20 14.500A8.300 8.300 0 019.500 4a8.300 8.300 0 1010.500 10.500z" />
          )}
        </svg>
      </button>
    </header>
  );
}
