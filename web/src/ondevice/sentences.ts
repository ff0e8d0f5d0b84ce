/** What a person gives up by the on-device mode, for the dialogue that asks for consent. */
export const ON_DEVICE_COST =
  "Analysed on this device, your tone of voice is not, and this device has more to compute; about 13 MB are loaded once.";
