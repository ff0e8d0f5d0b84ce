import { type ReactElement, useEffect, useRef, useState } from "react";
import type { StartRequest } from "../capture/request";
import { ON_DEVICE_COST } from "../ondevice/sentences";
import { BLANK, type ConsentForm, isUsable, requestOf, uses } from "./consentForm";
import { DevicePicker } from "./DevicePicker";
import { useDevices } from "./useDevices";

interface ConsentDialogProps {
  readonly open: boolean;
  readonly onAgree: (request: StartRequest) => void;
  readonly onDecline: () => void;
}

/** Explains what is processed and asks for each part; nothing is opened or sent before the person agrees. */
export function ConsentDialog({ open, onAgree, onDecline }: ConsentDialogProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const [form, setForm] = useState(BLANK);
  const change = (part: Partial<ConsentForm>): void => setForm((before) => ({ ...before, ...part }));
  useEffect(() => {
    if (open) {
      setForm(BLANK);
      dialog.current?.showModal();
      dialog.current?.scrollTo(0, 0);
    } else {
      dialog.current?.close();
    }
  }, [open]);
  const usable = isUsable(form);
  const use = uses(form.onDevice);
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
          if (usable) onAgree(requestOf(form));
        }}
      >
        <div className="consent-body">
          <div className="consent-lead">
            <h2 id="consent-title">Before anything starts</h2>
            <p id="consent-text">
              Your face and your voice can move the avatar. Nothing is on until you agree, and one click stops
              everything.
            </p>
          </div>
          <fieldset>
            <legend>What may be used</legend>
            <Switch
              name="video"
              title="Camera"
              text={use.video}
              checked={form.video}
              onChange={(video) => change({ video })}
            />
            <Switch
              name="audio"
              title="Microphone"
              text={use.audio}
              checked={form.audio}
              onChange={(audio) => change({ audio })}
            />
          </fieldset>
          <Pickers open={open} form={form} change={change} />
          <fieldset>
            <legend>Where it is analysed</legend>
            <div className="consent-places">
              <Place
                title="On the server"
                text={`Most accurate. Pictures and sound go to ${window.location.host}, ${
                  form.storeRaw ? "and may be kept." : "and are dropped within minutes."
                }`}
                checked={!form.onDevice}
                onChoose={() => change({ onDevice: false })}
              />
              <Place
                title="On this device"
                text="No picture and no sound leaves it. Only what was read from them does, as numbers."
                checked={form.onDevice}
                onChoose={() => change({ onDevice: true, storeRaw: false })}
              />
            </div>
            {!form.onDevice && (
              <Switch
                name="store_raw"
                title="Keep the recording"
                text="Pictures and sound may be kept beyond the session. Leave this off unless you were asked."
                checked={form.storeRaw}
                onChange={(storeRaw) => change({ storeRaw })}
              />
            )}
          </fieldset>
          <Facts onDevice={form.onDevice} />
        </div>
        <div className="consent-foot">
          <p className="hint" aria-live="polite">
            {usable ? "You can withdraw at any time." : "Choose camera, microphone or both."}
          </p>
          <div className="actions">
            <button type="button" className="button quiet" onClick={onDecline}>
              Not now
            </button>
            <button type="submit" className="button primary" disabled={!usable}>
              Agree and start
            </button>
          </div>
        </div>
      </form>
    </dialog>
  );
}

interface SwitchProps {
  readonly name: string;
  readonly title: string;
  readonly text: string;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

function Switch({ name, title, text, checked, onChange }: SwitchProps): ReactElement {
  return (
    <label className="switch">
      <input
        type="checkbox"
        name={name}
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span className="switch-track" aria-hidden="true" />
      <span>
        <strong>{title}</strong>
        <small>{text}</small>
      </span>
    </label>
  );
}

interface PlaceProps {
  readonly title: string;
  readonly text: string;
  readonly checked: boolean;
  readonly onChoose: () => void;
}

function Place({ title, text, checked, onChoose }: PlaceProps): ReactElement {
  return (
    <label className="choice">
      <input type="radio" name="place" checked={checked} onChange={onChoose} />
      <span className="choice-dot" aria-hidden="true" />
      <span>
        <strong>{title}</strong>
        <small>{text}</small>
      </span>
    </label>
  );
}

interface PickersProps {
  readonly open: boolean;
  readonly form: ConsentForm;
  readonly change: (part: Partial<ConsentForm>) => void;
}

/** Which camera and which microphone, where the browser names them already. */
function Pickers({ open, form, change }: PickersProps): ReactElement | null {
  const { cameras, microphones } = useDevices(open);
  const camera = form.video && cameras.length > 0;
  const microphone = form.audio && microphones.length > 0;
  if (!camera && !microphone) return null;
  return (
    <div className="consent-devices">
      {camera && (
        <DevicePicker
          label="Which camera"
          options={cameras}
          value={form.cameraId}
          onPick={(cameraId) => change({ cameraId })}
        />
      )}
      {microphone && (
        <DevicePicker
          label="Which microphone"
          options={microphones}
          value={form.microphoneId}
          onPick={(microphoneId) => change({ microphoneId })}
        />
      )}
    </div>
  );
}

function Facts({ onDevice }: { readonly onDevice: boolean }): ReactElement {
  return (
    <details>
      <summary>What is worked out, who gets it, how long it stays</summary>
      <dl className="consent-facts">
        <div>
          <dt>What comes out</dt>
          <dd>
            Numbers: scores of seven emotions, facial movements, head pose, gaze, mouth shapes. They are
            estimates, not facts about you.{onDevice && ` ${ON_DEVICE_COST}`}
          </dd>
        </div>
        <div>
          <dt>Who gets it</dt>
          <dd>
            Whoever runs {window.location.host}, and those to whom they show your avatar. This page talks to
            nobody else.
          </dd>
        </div>
        <div>
          <dt>How long it stays</dt>
          <dd>
            {onDevice
              ? "Pictures and sound are gone as soon as they have been read."
              : "Pictures and sound: ten minutes, unless you allow them to be kept."}{" "}
            Numbers: three months, your ratings half a year, unless the operator has set less.
          </dd>
        </div>
      </dl>
    </details>
  );
}
