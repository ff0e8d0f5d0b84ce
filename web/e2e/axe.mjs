/** Test support: axe-core in a page that a browser shows. */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const source = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** @typedef {{id: string, impact: string, nodes: {html: string, failureSummary?: string}[]}} Violation */

/**
 * What hinders people who use a keyboard, a screen reader, or strong contrast: one line for each serious or critical
 * violation of WCAG 2.2 A and AA, and of axe's own best practices.
 *
 * @param {import("playwright-core").Page} page @returns {Promise<string[]>}
 */
export async function hindrances(page) {
  await page.evaluate(await source);
  const violations = /** @type {Violation[]} */ (
    await page.evaluate(
      "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then((found) => found.violations)",
    )
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ""}`),
    );
}
