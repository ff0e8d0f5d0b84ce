/** The 3D stage: lights, the avatar, its glow. Frame-rate state lives in the Rig and the model, not in React. */

import { Canvas, useFrame, useThree } from "@react-three/fiber";
import { memo, type ReactElement, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { PerspectiveCamera } from "three";
import type { AvatarModel } from "../avatar/avatarModel";
import { Rig } from "../avatar/rig";
import { neutralPose, type Pose } from "../stream/pose";
import { AvatarPicker } from "./AvatarPicker";
import { AvatarLibrary, OWN_URL } from "./avatarLibrary";
import { CAMERA, placeCamera } from "./camera";
import { Glow } from "./Glow";
import { askGraphics } from "./graphics";
import { stageLights, type Theme } from "./lights";
import { Pace } from "./pace";
import type { PoseSource } from "./poseSource";
import { useTheme } from "./useTheme";

export type { PoseSource } from "./poseSource";

const GRAPHICS = askGraphics();
const MORPHS = GRAPHICS.software ? "processor" : "graphics";
const UNHURRIED = GRAPHICS.framesPerSecond < 60;

interface StageProps {
  /** Null: there is nothing to follow, and the avatar rests. */
  readonly source: PoseSource | null;
  /** Shown as in a mirror: what people expect of themselves. */
  readonly mirrored: boolean;
}

/** Memoised: drawing the canvas's element anew would undo what Resolution has chosen. */
export const Stage = memo(function Stage({ source, mirrored }: StageProps): ReactElement {
  const library = useMemo(() => new AvatarLibrary(OWN_URL, { morphs: MORPHS }), []);
  const theme = useTheme();
  const { model } = useSyncExternalStore(library.choice.subscribe, library.choice.get);
  useEffect(() => {
    if (GRAPHICS.available) void library.showOwn();
  }, [library]);
  if (!GRAPHICS.available) {
    return (
      <p className="stage-none">This browser cannot draw in 3D (WebGL 2), so the avatar is not shown.</p>
    );
  }
  return (
    <>
      <div className="stage-canvas" aria-hidden="true" data-avatar={model?.name}>
        <Canvas
          flat
          frameloop={UNHURRIED ? "demand" : "always"}
          dpr={GRAPHICS.ratio}
          camera={{ fov: CAMERA.fov }}
          gl={{ antialias: GRAPHICS.antialias, alpha: true, powerPreference: "default" }}
        >
          <Lights theme={theme} />
          <View />
          {model !== null && <Avatar model={model} source={source} mirrored={mirrored} />}
          <Resolution />
          {UNHURRIED && <Ticker />}
        </Canvas>
      </div>
      <AvatarPicker library={library} />
    </>
  );
});

function Lights({ theme }: { readonly theme: Theme }): ReactElement {
  const lights = useMemo(() => stageLights(theme), [theme]);
  return (
    <>
      {lights.map((light) => (
        <primitive key={light.uuid} object={light} />
      ))}
    </>
  );
}

/** Keeps the head in the picture, whatever the stage's shape. */
function View(): null {
  const camera = useThree((state) => state.camera);
  const { width, height } = useThree((state) => state.size);
  useEffect(() => placeCamera(camera as PerspectiveCamera, width / height), [camera, width, height]);
  return null;
}

interface AvatarProps extends StageProps {
  readonly model: AvatarModel;
}

function Avatar({ model, source, mirrored }: AvatarProps): ReactElement {
  const rig = useMemo(() => new Rig(), []);
  const pose = useRef<Pose>(neutralPose());
  useFrame((_, dt) => {
    const live = source?.sample(pose.current) === "live";
    rig.update(live ? pose.current : null, dt);
    model.apply(rig, dt);
  });
  return (
    <group scale={[mirrored ? -1 : 1, 1, 1]}>
      {/* The library disposes of models: they outlive this component. */}
      <primitive object={model.root} dispose={null} />
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
