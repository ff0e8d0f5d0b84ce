import { describe, expect, it } from "vitest";
import { boxOf, confidenceOf, describeFace, FaceTrack } from "../../src/ondevice/face";
import { AUS, actionUnits, affectOf } from "../../src/ondevice/faceRules";
import { frontality, gazeOf, poseOf, rotationOf, rotationOfTransformation } from "../../src/ondevice/pose";
import { BLENDSHAPE_INDEX, BLENDSHAPES } from "../../src/protocol/vocabulary";
import golden from "./golden.json";

const close = (found: readonly number[], wanted: readonly number[]): void => {
  expect(found).toHaveLength(wanted.length);
  for (const [index, value] of wanted.entries()) expect(found[index]).toBeCloseTo(value, 7);
};

/** What MediaPipe would give for a rotation in picture axes: y up, z towards the camera, column by column, scaled. */
const transformation = (rotation: readonly number[], scale = 1): number[] => {
  const sign = [1, -1, -1, 0];
  return [0, 1, 2, 3].flatMap((column) =>
    [0, 1, 2, 3].map((row) =>
      row < 3 && column < 3
        ? (sign[row] ?? 0) * (sign[column] ?? 0) * (rotation[3 * row + column] ?? 0) * scale
        : Number(row === column),
    ),
  );
};

describe("the rules of the server's face engine", () => {
  it.each(golden.faces)("give the same Action Units, emotions and affect", ({ blendshapes, ...wanted }) => {
    const aus = actionUnits(blendshapes);
    close(aus, wanted.aus);
    const { scores, affect } = affectOf(aus);
    close(scores, wanted.scores);
    close(affect, wanted.affect);
  });

  it.each(golden.poses)("give the same pose and gaze", ({ yaw, pitch, roll, matrix, eyes, gaze }) => {
    close(rotationOf({ yaw, pitch, roll }), matrix);
    const back = poseOf(matrix);
    close([back.yaw, back.pitch, back.roll], [yaw, pitch, roll]);
    close(gazeOf(back, eyes[0] ?? 0, eyes[1] ?? 0), gaze);
  });

  it.each(golden.confidences)("give the same confidence", ({ box, yaw, pitch, confidence }) => {
    const [, , width, height] = box as [number, number, number, number];
    expect(confidenceOf([0, 0, width, height], { yaw, pitch, roll: 0 })).toBeCloseTo(confidence, 7);
  });
});

describe("poses", () => {
  it("are read from MediaPipe's matrix whatever its scale", () => {
    const pose = { yaw: 20, pitch: -8, roll: 5 };
    const found = poseOf(rotationOfTransformation(transformation(rotationOf(pose), 3)));
    close([found.yaw, found.pitch, found.roll], [20, -8, 5]);
  });

  it("are in range for every matrix", () => {
    for (const matrix of [new Array<number>(16).fill(0), new Array<number>(16).fill(1e300)]) {
      const { yaw, pitch, roll } = poseOf(rotationOfTransformation(matrix));
      for (const angle of [yaw, pitch, roll]) expect(Math.abs(angle)).toBeLessThanOrEqual(180);
      expect(frontality({ yaw, pitch, roll })).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("a face", () => {
  const landmarks = [
    { x: 0.25, y: 0.5 },
    { x: 0.75, y: 0.25 },
    { x: 0.5, y: 0.75 },
  ];

  it("is described by name, whatever the order of the blendshapes", () => {
    const face = describeFace(
      {
        landmarks,
        blendshapes: [
          { categoryName: "_neutral", score: 1 },
          { categoryName: "mouthSmileRight", score: 0.5 },
          { categoryName: "mouthSmileLeft", score: 1.0000001 },
          { categoryName: "eyeBlinkLeft", score: 0.25 },
        ],
        transformation: transformation(rotationOf({ yaw: 0, pitch: 0, roll: 0 })),
      },
      640,
      480,
      4,
    );
    expect(face.blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft]).toBe(1);
    expect(face.blendshapes.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1.75);
    expect(face.aus[AUS.indexOf("AU12")]).toBeCloseTo(0.75);
    expect(face.blink).toEqual([0.25, 0]);
    expect(face.box).toEqual([0.25, 0.25, 0.5, 0.5]);
    expect(face.confidence).toBe(1);
    expect(face.trackId).toBe(4);
    expect(face.blendshapes).toHaveLength(BLENDSHAPES.length);
  });

  it("has the box of its landmarks", () => {
    expect(boxOf(landmarks)).toEqual([0.25, 0.25, 0.5, 0.5]);
  });
});

describe("FaceTrack", () => {
  it("keeps a face's number while it is seen, and for a second where it was lost", () => {
    const track = new FaceTrack();
    expect(track.seen([0, 0, 1, 1], 0)).toBe(0);
    expect(track.seen([5, 5, 1, 1], 33)).toBe(0);
    track.lost();
    expect(track.seen([5, 5, 1, 1.2], 900)).toBe(0);
    track.lost();
    expect(track.seen([5, 5, 1, 1], 2_000)).toBe(1);
    track.lost();
    expect(track.seen([9, 9, 1, 1], 2_100)).toBe(2);
  });
});
