import { useEffect, useState } from "react";

/** A camera or microphone that a person can pick. */
export interface DeviceOption {
  readonly id: string;
  readonly name: string;
}

export interface DeviceOptions {
  readonly cameras: readonly DeviceOption[];
  readonly microphones: readonly DeviceOption[];
}

export const NO_DEVICES: DeviceOptions = { cameras: [], microphones: [] };

/** Those that can be told apart: before a person has allowed any, a browser names none. */
export function optionsOf(devices: readonly MediaDeviceInfo[]): DeviceOptions {
  const of = (kind: MediaDeviceKind): readonly DeviceOption[] =>
    devices
      .filter((device) => device.kind === kind && device.deviceId !== "" && device.label !== "")
      .map(({ deviceId, label }) => ({ id: deviceId, name: label }));
  return { cameras: of("videoinput"), microphones: of("audioinput") };
}

/** The devices there are, kept up to date while `active`; asking for them opens none. */
export function useDevices(active: boolean): DeviceOptions {
  const [options, setOptions] = useState(NO_DEVICES);
  useEffect(() => {
    const media = navigator.mediaDevices;
    if (!active || media === undefined) return;
    let current = true;
    const refresh = async (): Promise<void> => {
      const devices = await media.enumerateDevices().catch(() => []);
      if (current) setOptions(optionsOf(devices));
    };
    void refresh();
    media.addEventListener("devicechange", refresh);
    return () => {
      current = false;
      media.removeEventListener("devicechange", refresh);
    };
  }, [active]);
  return options;
}
