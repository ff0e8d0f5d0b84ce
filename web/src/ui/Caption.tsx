import type { ReactElement } from "react";
import type { AvatarStream, Link } from "../stream/avatarStream";
import { emotionColor, emotionWord } from "./emotionColors";
import { sayingOf } from "./linkCard";
import { StageCard } from "./StageCard";
import { useStore } from "./useStore";

/** Above this the person counts as speaking, as in the fusion's rule for the mouth. */
const SPEAKING = 0.7;

/** The emotion in a word while frames come; why there is none while they do not. */
export function Caption({
  stream,
  link,
}: {
  readonly stream: AvatarStream;
  readonly link: Link;
}): ReactElement {
  const { emotion } = useStore(stream.readout);
  if (link.state !== "live" || emotion === null) return <StageCard {...sayingOf(link)} />;
  const speaking = emotion.speakingProbability > SPEAKING;
  return (
    <div className="caption">
      <strong style={{ color: emotionColor(emotion.emotion) }}>{emotionWord[emotion.emotion]}</strong>
      <span className={speaking ? "speaking on" : "speaking"} data-testid="speaking">
        <span className="speaking-bars" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        {speaking ? "Speaking" : "Silent"}
      </span>
    </div>
  );
}
