import type { ReactElement } from "react";

interface PagerProps {
  readonly page: number;
  readonly pages: number;
  readonly onPage: (page: number) => void;
}

/** Goes through the pages of a wall that does not fit one. */
export function Pager({ page, pages, onPage }: PagerProps): ReactElement | null {
  if (pages <= 1) return null;
  return (
    <nav className="pager" aria-label="Pages">
      <button
        type="button"
        className="button quiet icon"
        aria-label="Page before"
        disabled={page === 0}
        onClick={() => onPage(page - 1)}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M14.500 6l-6 6 6 6" />
        </svg>
      </button>
      <span className="pager-place">
        {page + 1} of {pages}
      </span>
      <button
        type="button"
        className="button quiet icon"
        aria-label="Page after"
        disabled={page === pages - 1}
        onClick={() => onPage(page + 1)}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M9.500 6l6 6-6 6" />
        </svg>
      </button>
    </nav>
  );
}
