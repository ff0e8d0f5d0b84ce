import { type ReactElement, useEffect, useRef } from "react";

/** What the camera sees, small and mirrored, so that the person knows what is taken. */
export function SelfView({ video }: { readonly video: HTMLVideoElement }): ReactElement {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const host = frame.current;
    host?.append(video);
    return () => video.remove();
  }, [video]);
  return <div ref={frame} className="self-view" role="img" aria-label="What your camera sees" />;
}
