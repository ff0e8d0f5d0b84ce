import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { applyTheme, initialTheme } from "./ui/theme";
import { WallApp } from "./ui/wall/WallApp";
import "./ui/styles/index.css";

applyTheme(initialTheme());

const root = document.getElementById("root");
if (root === null) throw new Error("wall.html has no #root");
createRoot(root).render(
  <StrictMode>
    <WallApp />
  </StrictMode>,
);
