import { describe, expect, it } from "vitest";
import { type EmotionUpdate, readMessage } from "../../src/protocol/messages";
import { neutralPose } from "../../src/stream/pose";
import { SessionFeed } from "../../src/wall/feed";

const update = (sequence: number, emotion: string): EmotionUpdate =>
  readMessage(
    JSON.stringify({
      type: "emotion_update",
      session_id: "a",
      timestamp_ms: 0,
      sequence,
      payload: { emotion, scores: {} },
    }),
  ) as EmotionUpdate;

describe("SessionFeed", () => {
  it("has nothing to show before the first frame", () => {
    expect(new SessionFeed().sample(neutralPose())).toBe("empty");
  });

  it("says what is felt a few times a second at most", () => {
    const feed = new SessionFeed();
    feed.take(update(0, "happy"), 0);
    feed.take(update(3, "sad"), 100);
    expect(feed.emotion.get()?.emotion).toBe("happy");
    feed.take(update(9, "angry"), 300);
    expect(feed.emotion.get()?.emotion).toBe("angry");
  });
});
