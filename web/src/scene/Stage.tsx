/** The 3D stage: lights, the avatar, its glow. Frame-rate state lives in the Rig and the model, not in React. */

import { Canvas, useFrame, useThree } from "@react-three/fiber";
import { memo, type ReactElement, useEffect, useMemo, useRef } from "react";
import { HeadModel } from "../avatar/headModel";
import { Rig } from "../avatar/rig";
import { neutralPose, type Pose } from "../stream/pose";
import type { TimelineState } from "../stream/timeline";
import { Glow } from "./Glow";
import { askGraphics } from "./graphics";
import { Pace } from "./pace";

/** Where the avatar's pose comes from: asked once a rendered frame. */
export interface PoseSource {
  sample(pose: Pose): TimelineState;
}

const GRAPHICS = askGraphics();
const UNHURRIED = GRAPHICS.framesPerSecond < 60;

interface StageProps {
  /** Null: there is nothing to follow, and the avatar rests. */
  readonly source: PoseSource | null;
  /** Shown as in a mirror: what people expect of themselves. */
  readonly mirrored: boolean;
}

/** Memoised: drawing the canvas's element anew would undo what Resolution has chosen. */
export const Stage = memo(function Stage({ source, mirrored }: StageProps): ReactElement {
  if (!GRAPHICS.available) {
    return (
      <p className="stage-none">This browser cannot draw in 3D (WebGL 2), so the avatar is not shown.</p>
    );
  }
  return (
    <div className="stage-canvas" aria-hidden="true">
      <Canvas
        flat
        frameloop={UNHURRIED ? "demand" : "always"}
        dpr={GRAPHICS.ratio}
        camera={{ fov: 26, position: [0, 0.02, 8.1] }}
        gl={{ antialias: GRAPHICS.antialias, alpha: true, powerPreference: "default" }}
      >
        <hemisphereLight args={["#fff4ea", "#e0bcb4", 1.5]} />
        <directionalLight position={[-2.2, 3.2, 4.5]} intensity={2.1} color="#fff1e0" />
        <directionalLight position={[3.5, 0.6, 2]} intensity={0.95} color="#dfe0ff" />
        <directionalLight position={[1.5, 3, -4]} intensity={1.9} color="#ffd9f0" />
        <Avatar source={source} mirrored={mirrored} />
        <Resolution />
        {UNHURRIED && <Ticker />}
      </Canvas>
    </div>
  );
});

function Avatar({ source, mirrored }: Pick<StageProps, "source" | "mirrored">): ReactElement {
  const rig = useMemo(() => new Rig(), []);
  const model = useMemo(() => new HeadModel(), []);
  const pose = useRef<Pose>(neutralPose());
  useEffect(() => () => model.dispose(), [model]);
  useFrame((_, dt) => {
    const live = source?.sample(pose.current) === "live";
    rig.update(live ? pose.current : null, dt);
    model.apply(rig);
  });
  return (
    <group scale={[mirrored ? -1 : 1, 1, 1]} position={[0, -0.12, 0]}>
      <primitive object={model.root} />
      <Glow rig={rig} />
    </group>
  );
}

/** Asks for frames at the machine's own pace rather than the screen's. */
function Ticker(): null {
  const invalidate = useThree((state) => state.invalidate);
  useEffect(() => {
    const timer = setInterval(() => invalidate(), 1_000 / GRAPHICS.framesPerSecond);
    return () => clearInterval(timer);
  }, [invalidate]);
  return null;
}

/** Lowers the resolution where the machine cannot keep up. */
function Resolution(): null {
  const setDpr = useThree((state) => state.setDpr);
  const pace = useMemo(() => new Pace(GRAPHICS.ratio, GRAPHICS.framesPerSecond), []);
  useFrame((_, dt) => {
    const next = pace.frame(dt);
    if (next !== null) setDpr(next);
  });
  return null;
}
