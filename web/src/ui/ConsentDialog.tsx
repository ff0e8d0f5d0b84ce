import { type ReactElement, useEffect, useRef, useState } from "react";
import { type Consent, NO_CONSENT } from "../protocol/sessions";

interface ConsentDialogProps {
  readonly open: boolean;
  readonly onAgree: (consent: Consent) => void;
  readonly onDecline: () => void;
}

const SCOPES: readonly (readonly [scope: keyof Consent, title: string, text: string])[] = [
  [
    "video",
    "Camera",
    "Pictures are sent to this page's server, which reads expression, gaze and head pose from them.",
  ],
  [
    "audio",
    "Microphone",
    "Sound is sent too; it reads tone of voice, mouth shapes and whether you speak. No words are written down.",
  ],
  [
    "store_raw",
    "Keep the recording",
    "Raw pictures and sound may be kept beyond the session. Without this they are dropped after a few minutes.",
  ],
];

/** Explains what is processed and asks for each part; nothing is opened or sent before the person agrees. */
export function ConsentDialog({ open, onAgree, onDecline }: ConsentDialogProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const [consent, setConsent] = useState<Consent>(NO_CONSENT);
  useEffect(() => {
    if (open) {
      setConsent(NO_CONSENT);
      dialog.current?.showModal();
    } else {
      dialog.current?.close();
    }
  }, [open]);
  const usable = consent.audio || consent.video;
  return (
    <dialog
      ref={dialog}
      className="consent"
      aria-labelledby="consent-title"
      aria-describedby="consent-text"
      onCancel={(event) => {
        event.preventDefault();
        onDecline();
      }}
    >
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          if (usable) onAgree(consent);
        }}
      >
        <h2 id="consent-title">Before anything starts</h2>
        <p id="consent-text">
          Your face and voice can move the avatar. Choose what may be used; nothing is on until you say so,
          and you can stop at any time with one click.
        </p>
        <div className="scopes">
          {SCOPES.map(([scope, title, text]) => (
            <label key={scope} className="scope">
              <input
                type="checkbox"
                name={scope}
                checked={consent[scope]}
                onChange={(event) => setConsent({ ...consent, [scope]: event.target.checked })}
              />
              <span className="scope-switch" aria-hidden="true" />
              <span>
                <strong>{title}</strong>
                <small>{text}</small>
              </span>
            </label>
          ))}
        </div>
        <p className="hint">
          What comes out are numbers: emotion scores, facial movements, head pose. They are estimates, not
          facts about you, and are kept for a limited time.
        </p>
        <div className="actions">
          <button type="button" className="button quiet" onClick={onDecline}>
            Not now
          </button>
          <button type="submit" className="button primary" disabled={!usable}>
            {usable ? "Agree and start" : "Choose camera or microphone"}
          </button>
        </div>
      </form>
    </dialog>
  );
}
