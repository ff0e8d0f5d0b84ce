import type { Emotion } from "../protocol/vocabulary";

/** Custom properties of the style sheet, so that they follow light and dark. */
export const emotionColor = (emotion: Emotion): string => `var(--${emotion})`;

export const emotionWord: Readonly<Record<Emotion, string>> = {
  neutral: "Neutral",
  happy: "Happy",
  sad: "Sad",
  angry: "Angry",
  surprise: "Surprised",
  fear: "Afraid",
  disgust: "Disgusted",
};
