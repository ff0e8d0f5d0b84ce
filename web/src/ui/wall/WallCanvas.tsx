import { type ReactElement, useState } from "react";
import { AvatarGrid, type GridCell } from "../../scene/AvatarGrid";
import { SketchGrid } from "./SketchGrid";

/** Draws every tile's avatar on one canvas behind them; a sketch of it where 3D cannot be drawn. */
export function WallCanvas({ cells }: { readonly cells: readonly GridCell[] }): ReactElement {
  const [flat, setFlat] = useState(false);
  return (
    <div className="wall-canvas" data-testid="wall-canvas" data-flat={flat}>
      {flat ? <SketchGrid cells={cells} /> : <AvatarGrid cells={cells} onTrouble={() => setFlat(true)} />}
    </div>
  );
}
