/**
 * The library without React: one avatar on a canvas. With an avatar socket's address after the `#`, as in
 * `#ws://127.0.0.1:8090/v1/sessions/ID/avatar?token=TOKEN`, it follows that session; without, it plays by itself.
 * Drop a GLB or VRM on the page to use it instead.
 *
 * Where the library is installed, the import reads `from "affectstream-web"`.
 */

import {
  AvatarError,
  type AvatarModel,
  AvatarStream,
  AvatarView,
  BLENDSHAPE_INDEX,
  BONE_INDEX,
  fetchAvatar,
  loadAvatarFile,
  OWN_URL,
  type Pose,
  type PoseSource,
  SocketSource,
} from "../src/index";

const view = new AvatarView(document.querySelector("#avatar") as HTMLCanvasElement);
const says = document.querySelector("#says") as HTMLElement;

/** A smile that comes and goes, with a slow look around. */
const player: PoseSource = {
  sample(pose: Pose) {
    const time = performance.now() / 1_000;
    const smile = 0.5 + 0.5 * Math.sin(time);
    pose.blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft] = smile;
    pose.blendshapes[BLENDSHAPE_INDEX.mouthSmileRight] = smile;
    pose.blendshapes[BLENDSHAPE_INDEX.browInnerUp] = 0.4 * (1 - smile);
    pose.bones[BONE_INDEX.head_yaw] = 18 * Math.sin(0.6 * time);
    return "live";
  },
};

function follow(url: string): PoseSource {
  const stream = new AvatarStream(new SocketSource(url));
  stream.link.subscribe(() => {
    says.textContent = stream.link.get().state;
  });
  stream.open();
  return stream;
}

async function show(loading: Promise<AvatarModel>): Promise<void> {
  try {
    view.show(await loading);
  } catch (error) {
    says.textContent = error instanceof AvatarError ? error.message : String(error);
  }
}

const address = decodeURIComponent(window.location.hash.slice(1));
view.source = address === "" ? player : follow(address);
void show(fetchAvatar(OWN_URL, "The default avatar"));

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file !== undefined) void show(loadAvatarFile(file));
});
