import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { AnalystApp } from "./ui/analyst/AnalystApp";
import { applyTheme, initialTheme } from "./ui/theme";
import "./ui/styles/index.css";
import "./ui/styles/analyst.css";

applyTheme(initialTheme());

const root = document.getElementById("root");
if (root === null) throw new Error("analytics.html has no #root");
createRoot(root).render(
  <StrictMode>
    <AnalystApp />
  </StrictMode>,
);
