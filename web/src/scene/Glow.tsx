/** Sparks that rise around the head while the avatar glows: `particles.glow_intensity` of the frames. */

import { useFrame } from "@react-three/fiber";
import { type ReactElement, useMemo, useRef } from "react";
import { Color, DynamicDrawUsage, type InstancedMesh, Object3D } from "three";
import type { Rig } from "../avatar/rig";

const SPARKS = 36;

interface Spark {
  readonly angle: number;
  readonly reach: number;
  readonly speed: number;
  readonly phase: number;
  readonly size: number;
}

/** Spread by the golden angle: even, and the same every time. */
const sparks: readonly Spark[] = Array.from({ length: SPARKS }, (_, i) => ({
  angle: i * 2.399963,
  reach: 1.15 + 0.5 * ((i * 0.618) % 1),
  speed: 0.1 + 0.12 * ((i * 0.414) % 1),
  phase: (i * 0.732) % 1,
  size: 0.016 + 0.022 * ((i * 0.271) % 1),
}));

export function Glow({ rig }: { readonly rig: Rig }): ReactElement {
  const mesh = useRef<InstancedMesh>(null);
  const place = useMemo(() => new Object3D(), []);
  const time = useRef(0);
  useFrame((_, dt) => {
    const target = mesh.current;
    if (target === null) return;
    target.visible = rig.glow > 0.01;
    if (!target.visible) return;
    time.current += Math.min(dt, 0.1);
    sparks.forEach(({ angle, reach, speed, phase, size }, i) => {
      const life = (phase + speed * time.current) % 1;
      const turn = angle + life * 0.8;
      place.position.set(Math.cos(turn) * reach, -1.1 + 2.6 * life, Math.sin(turn) * reach * 0.4 - 0.75);
      // Glow reaches about 0.3 on a broad smile: the sparks' size follows its root, so that little is seen too.
      place.scale.setScalar(size * Math.sin(Math.PI * life) * Math.min(1, 1.8 * Math.sqrt(rig.glow)));
      place.updateMatrix();
      target.setMatrixAt(i, place.matrix);
    });
    target.instanceMatrix.setUsage(DynamicDrawUsage).needsUpdate = true;
  });
  const color = useMemo(() => new Color("#ffd479"), []);
  return (
    <instancedMesh ref={mesh} args={[undefined, undefined, SPARKS]} frustumCulled={false}>
      <octahedronGeometry args={[1, 0]} />
      <meshBasicMaterial color={color} transparent opacity={0.9} toneMapped={false} />
    </instancedMesh>
  );
}
